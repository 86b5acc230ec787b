"""FB004 to FB007, FB009, FB019 and FB020: the clock."""

from __future__ import annotations

import pytest

from ferbench.benchmarks.timing_records import Repeats, Usage
from tests.benchmarks.checks.made_up import latency, look, row, summary, timed_part, times

TIMED = ["FB004", "FB005", "FB006", "FB007", "FB009", "FB019", "FB020"]


@pytest.mark.parametrize("code", TIMED)
def test_where_nothing_was_timed_no_check_of_the_clock_applies(code: str) -> None:
    assert look(code, summary(row("hog", latency=[]))).status == "not-applicable"


@pytest.mark.parametrize(
    ("n", "severity", "names"),
    [(40, "warning", "p90 (40 of 64 frames)"), (100, "note", "p95 (100 of 130"), (400, "note", "p99 (400 of 662")],
)
def test_fb004_says_which_percentile_lacks_how_many_frames(n: int, severity: str, names: str) -> None:
    result = look("FB004", summary(row("hog", latency=[latency(n=n)])))
    assert (result.severity, names in result.findings[0].text) == (severity, True)


def test_fb004_does_not_say_of_a_row_that_its_p90_is_left_out_where_it_is_there() -> None:
    rows = [row("fast", latency=[latency(n=110)]), row("slow", latency=[latency(n=29)]), row("lbp")]
    (found,) = look("FB004", summary(*rows)).findings
    assert found.text == (
        "p90 (29 of 64 frames): left out of the reports for 1 of 3 rows; p95 (29 of 130 frames) and p99 (29 of 662 "
        "frames) for 2 of 3 rows."
    )
    assert set(found.rows) == {"fast", "slow"}


def test_fb004_passes_with_enough_frames_and_finds_a_percentile_that_is_stated_all_the_same() -> None:
    assert look("FB004", summary(row("hog", latency=[latency(n=662)]))).status == "passed"
    stages = {"total": times(1.0, 100, p90=1.0, p95=1.0)}
    result = look("FB004", summary(row("hog", latency=[latency(stages=stages)])))
    assert "too few frames carry" in result.findings[0].text
    assert result.severity == "warning"


@pytest.mark.parametrize(
    ("scenario", "more", "severity", "text"),
    [
        # 1,024 frames a row, but 4 calls.
        ("offline(batch=256)", {}, "note", "p90 (4 of 64 calls)"),
        ("multi-stream(streams=4)", {"together": times(1.0, 40)}, "warning", "p90 (4 of 64 calls)"),
        ("fixed-rate(hz=30)", {}, "warning", "p90 (4 of 64 frames)"),
    ],
)
def test_fb004_counts_calls_beside_a_scenario_that_has_enough(
    scenario: str, more: dict, severity: str, text: str
) -> None:
    few = latency(n=4, scenario=scenario, **more)
    result = look("FB004", summary(row("hog", latency=[latency(n=662), few]), row("lbp")))
    assert (result.status, result.severity, len(result.findings)) == ("found", severity, 1)
    assert text in result.findings[0].text
    assert f"1 of 2 rows under {scenario}" in result.findings[0].text
    assert result.findings[0].rows == ["hog"]


def test_fb005_finds_unstable_rows_and_says_why() -> None:
    shaky = latency(is_unstable=True, notes=["unstable: the medians of the rounds differ by 18%", "another note"])
    finding = look("FB005", summary(row("hog", latency=[shaky]), row("lbp"))).findings[0]
    assert finding.rows == ["hog"]
    assert "1 of 2 rows: hog" in finding.text
    assert "differ by 18%" in finding.text
    assert look("FB005", summary(row("lbp"))).status == "passed"


def test_fb006_counts_the_rounds_before_which_the_machine_was_busy() -> None:
    busy = latency(notes=["before round 1: other programs use 30% of the CPU", "before round 1: on battery"])
    worse = latency(notes=["before round 2: other programs use 70% of the CPU"])
    finding = look("FB006", summary(row("hog", latency=[busy]), row("lbp", latency=[worse]))).findings[0]
    assert "2 of 4 timing rounds" in finding.text
    assert "70%" in finding.text
    assert finding.rows == ["hog", "lbp"]


def test_fb006_tells_what_was_wrong_at_the_start_and_passes_on_a_quiet_machine() -> None:
    busy = {"state": {"problems": ["the machine runs on battery"]}}
    assert "on battery" in look("FB006", summary(row("hog"), environment=busy)).findings[0].text
    assert look("FB006", summary(row("hog"), environment={"state": {"problems": []}})).status == "passed"


def test_fb007_compares_threads_within_one_machine() -> None:
    two = [latency(threads=2, machine="m1"), latency(threads=16, machine="m2")]
    parts = [timed_part("hog", pools={"openblas": 2}), timed_part("hog", pools={"openblas": 16}, machine="m2")]
    assert look("FB007", summary(row("hog", latency=two), row("lbp", latency=two)), parts=parts).status == "passed"
    uneven = [latency(threads=1, machine="m1"), latency(threads=16, machine="m2")]
    result = look("FB007", summary(row("hog", latency=two), row("lbp", latency=uneven)))
    assert [finding.text for finding in result.findings] == [
        "Timed with different numbers of threads (single-stream, cpu, machine m1): hog with 2 and lbp with 1."
    ]


def test_fb007_finds_rows_that_asked_for_other_threads() -> None:
    finding = look("FB007", summary(row("hog"), row("lbp", latency=[latency(threads=2)]))).findings[0]
    assert "hog with 1 and lbp with 2" in finding.text
    assert look("FB007", summary(row("hog"), row("lbp"))).status == "passed"
    assert look("FB007", summary(row("hog"))).status == "not-applicable"


def test_fb007_finds_pools_that_differ_under_one_setting() -> None:
    made = summary(row("hog"), row("lbp"))
    parts = [timed_part("hog", pools={"openblas": 1}), timed_part("lbp", pools={"openblas": 2})]
    finding = look("FB007", made, parts=parts).findings[0]
    assert "1 for hog and 2 for lbp" in finding.text
    assert look("FB007", made, parts=[timed_part("hog"), timed_part("lbp")]).status == "passed"
    of_two_settings = [parts[0], timed_part("lbp", pools={"openblas": 2}, threads=2)]
    assert look("FB007", made, parts=of_two_settings).status == "passed"


def networks(keras_ms: float) -> list:
    return [
        row("net@keras", family="deep", classifier="net", runtime="keras", latency=[latency(keras_ms)]),
        row("net@litert", family="deep", classifier="net", runtime="litert(threads=1)", latency=[latency(0.2)]),
    ]


@pytest.mark.parametrize(("keras_ms", "severity"), [(2.0, "note"), (50.0, "warning")])
def test_fb009_finds_keras_far_behind_its_export(keras_ms: float, severity: str) -> None:
    result = look("FB009", summary(*networks(keras_ms)))
    assert (result.status, result.severity) == ("found", severity)
    assert ("model.predict" in result.findings[0].text) == (severity == "warning")


def test_fb009_finds_predict_and_passes_near_the_export() -> None:
    assert look("FB009", summary(*networks(0.4))).status == "passed"
    assert look("FB009", summary(row("net", family="deep"))).severity == "warning"  # through scikit-learn's interface


def test_fb009_does_not_compare_two_machines() -> None:
    slow, fast = networks(300.0)
    moved = fast.model_copy(update={"latency": [fast.latency[0].model_copy(update={"machine": "another"})]})
    assert look("FB009", summary(slow, moved)).status == "passed"


def test_fb019_finds_a_pipeline_that_remembers_frames() -> None:
    def tried(*, is_cached: bool) -> list:
        return [latency(repeats=Repeats(n_pairs=30, first_ms=4.0, again_ms=0.1, p=1e-6, is_cached=is_cached))]

    finding = look("FB019", summary(row("hog", latency=tried(is_cached=True)))).findings[0]
    assert "4.00\N{NO-BREAK SPACE}ms for a new frame" in finding.text
    assert look("FB019", summary(row("hog", latency=tried(is_cached=False)))).status == "passed"


def test_fb020_finds_threads_beyond_the_setting() -> None:
    def watched(problem: str | None) -> list:
        return [latency(usage=Usage(cores=1.9, n_threads=4, n_busy=2, n_started=0, problem=problem))]

    finding = look("FB020", summary(row("hog", latency=watched("it used 1.9 cores")))).findings[0]
    assert "hog was to keep to 1 thread: it used 1.9 cores." in finding.text
    assert look("FB020", summary(row("hog", latency=watched(None)))).status == "passed"
