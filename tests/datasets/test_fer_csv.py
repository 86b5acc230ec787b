"""The FER2013 table reader: every bad row is told with its number and reason, and nothing crashes it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ferbench.datasets.fer_csv import SIDE, USAGES, read_fer_table
from ferbench.errors import DataError

N = SIDE * SIDE
GOOD = f"3,{' '.join(['7'] * N)},Training"


def read(*rows: str, header: str = "emotion,pixels,Usage", end: str = "\n"):
    return read_fer_table(io.BytesIO(("\n".join([header, *rows]) + end).encode()), "t.csv")


def pixels(**replaced: str) -> str:
    values = ["7"] * N
    for at, value in replaced.items():
        values[int(at[1:]) - 1] = value
    return " ".join(values)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"3,{' '.join(['7'] * (N - 1))},Training", "2303 pixels, expected 2304"),
        (f"3,{' '.join(['7'] * (N + 1))},Training", "2305 pixels, expected 2304"),
        ("3,,Training", "0 pixels, expected 2304"),
        (f"3,{pixels(p5='x9')},Training", "pixel 5 is 'x9', not a whole number"),
        (f"3,{pixels(p2='12.5')},Training", "pixel 2 is '12.5', not a whole number"),
        (f"3,{pixels(p2='²')},Training", "pixel 2 is '²', not a whole number"),
        (f"3,{pixels(p1='-1')},Training", "pixel 1 is '-1', not a whole number"),
        (f"3,{pixels(p2304='256')},Training", "pixel 2304 is 256, expected 0 to 255"),
        (f"3,{pixels(p9='9' * 40)},Training", "expected 0 to 255"),
        (f"7,{pixels()},Training", "emotion is '7', expected 0 to 6"),
        (f"happy,{pixels()},Training", "emotion is 'happy', expected 0 to 6"),
        (f",{pixels()},Training", "emotion is '', expected 0 to 6"),
        (f"3,{pixels()},Trainig", "Usage is 'Trainig', expected Training, PublicTest, PrivateTest"),
        (f"3,{pixels()}", "2 columns, expected at least 3"),
        (f'3,"{pixels()},Training', "2 columns"),
        ("nonsense", "1 columns"),
    ],
)
def test_a_bad_row_is_skipped_with_its_number_and_reason(row, reason):
    table = read(GOOD, row, GOOD)
    assert len(table.images) == 2
    assert [skipped.row for skipped in table.skipped] == [2]
    assert reason in table.skipped[0].reason
    assert str(table.skipped[0]).startswith("row 2 (line 3): ")


def test_an_unreadable_row_keeps_its_place_so_that_ids_do_not_move():
    table = read(GOOD, "3,1 2 3,Training", GOOD)
    assert table.positions.tolist() == [0, 2]


def test_kaggles_header_with_leading_blanks_in_another_order():
    table = read(f"3,PublicTest,{pixels(p1='200')}", header="emotion, Usage, pixels")
    assert table.usages.tolist() == ["PublicTest"]
    assert table.images[0, 0, 0] == 200


def test_byte_order_mark_windows_line_ends_quotes_and_blank_lines():
    text = f'﻿emotion,pixels,Usage\r\n\r\n"3","{pixels()}","Training"\r\n'
    table = read_fer_table(io.BytesIO(text.encode()), "t.csv")
    assert (len(table.images), table.skipped) == (1, [])


def test_a_file_that_stops_in_the_middle_of_a_row_is_refused():
    with pytest.raises(DataError, match=r"t\.csv stops in the middle of row 2 \(line 3\).*download it again"):
        read(GOOD, GOOD[:3000], end="")


def test_a_whole_last_row_needs_no_line_end():
    assert len(read(GOOD, end="").images) == 1


@pytest.mark.parametrize("header", ["", "a,b,c", "emotion,pixels", "\x00\x01\x02"])
def test_another_header_is_refused(header):
    with pytest.raises(DataError, match=r"is not a FER2013 table.*expected the columns emotion, pixels, Usage"):
        read(GOOD, header=header)


def test_a_file_without_line_ends_is_refused_without_reading_it_all():
    stream = io.BytesIO(b"x" * (8 << 20))
    with pytest.raises(DataError, match="a line of more than 1 MiB"):
        read_fer_table(stream, "t.csv")
    assert stream.tell() < 2 << 20


@given(st.binary(max_size=300), st.integers(0, len(GOOD)), st.integers(0, 400))
@example(b"\t", 24, 0)
@example("\N{NO-BREAK SPACE}".encode(), 25, 1)
@settings(max_examples=200)
def test_damage_anywhere_gives_a_table_or_a_message(garbage, at, cut):
    good = f"emotion,pixels,Usage\n{GOOD}\n".encode()
    damaged = good[:at] + garbage + good[at + cut :]
    try:
        table = read_fer_table(io.BytesIO(damaged), "t.csv")
    except DataError:
        return
    assert table.images.shape[1:] == (SIDE, SIDE)
    assert len(table.images) == len(table.emotions) == len(table.usages) == len(table.positions)
    assert table.emotions.max(initial=0) < 7
    assert set(table.usages.tolist()) <= set(USAGES)


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 2**32 - 1), st.sampled_from(sorted(USAGES)), st.booleans()),
        max_size=5,
    )
)
@settings(max_examples=40)
def test_what_is_written_is_read_and_every_row_is_accounted_for(rows):
    faces = [np.random.default_rng(seed).integers(0, 256, N, np.uint8) for _, seed, _, _ in rows]
    lines = [
        f"{code},{' '.join(map(str, face if whole else face[1:]))},{usage}"
        for (code, _, usage, whole), face in zip(rows, faces, strict=True)
    ]
    table = read(*lines)
    whole = [i for i, row in enumerate(rows) if row[3]]
    np.testing.assert_array_equal(table.images.reshape(-1, N), np.array([faces[i] for i in whole]).reshape(-1, N))
    assert table.emotions.tolist() == [rows[i][0] for i in whole]
    assert len(table.images) + len(table.skipped) == len(rows)
