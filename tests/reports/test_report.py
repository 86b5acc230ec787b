"""The report as files: whole, self-contained, true to the summary, safe with any name."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ferbench.benchmarks.cells import CellError
from ferbench.benchmarks.records import Estimate, LatencySummary, Pretrained, PublishedFigures, Summary
from ferbench.cli.run import leaderboard
from ferbench.cli.show import _run as describe
from ferbench.errors import ParameterError, RunError, UnknownNameError
from ferbench.pipelines.preset import Published
from ferbench.reports import build_report
from ferbench.reports.context import best_first, build_context
from ferbench.reports.html import render_html
from ferbench.reports.markdown import render_markdown

SECTIONS = [
    *("verdict", "trade-off", "leaderboard", "pairs", "classes", "confusion", "stages"),
    *("start", "protocol", "environment", "failures", "caveats", "reproduce"),
]
VOID = {"meta", "link", "br", "img", "wbr", "input", "hr"}


class Page(HTMLParser):
    """Tags, ids, addresses and text of a page; unbalanced tags fail."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"src", "href", "xlink:href", "data", "srcset", "action"}:
                self.addresses.append((tag, name, value or ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def html(summary: Summary) -> str:
    return render_html(build_context(summary))


@pytest.fixture(scope="module")
def markdown(summary: Summary) -> str:
    return render_markdown(build_context(summary))


def renamed(summary: Summary, name: str) -> Summary:
    """The same run with another name for everything that a user names."""
    first = summary.rows[0].row
    rows = [row.model_copy(update={"row": name}) if row.row == first else row for row in summary.rows]
    datasets = [one.model_copy(update={"title": name, "licence": name, "protocol": name}) for one in summary.datasets]
    pairs = [
        one.model_copy(update={"a": name if one.a == first else one.a, "b": name if one.b == first else one.b})
        for one in summary.comparisons
    ]
    changes = {"suite": name, "description": name, "rows": rows, "datasets": datasets, "comparisons": pairs}
    return summary.model_copy(update=changes | {"command": name, "environment": {name: name}})


def test_frames_are_named_as_several(html: str, markdown: str) -> None:
    for page in (html, markdown):
        assert "; frames: " in page
        assert "a frame is" not in page


def table_widths(markdown: str) -> list[set[int]]:
    """Numbers of cells of the lines of each table."""
    tables, current = [], set[int]()
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            current.add(len(re.findall(r"(?<!\\)\|", line.rstrip())))
        elif current:
            tables.append(current)
            current = set()
    return tables


def test_files_are_written_where_the_run_is(run_folder: Path) -> None:
    written = build_report(run_folder)
    assert written == [run_folder / "report/index.html", run_folder / "report/report.md"]
    assert all(path.stat().st_size < 3_000_000 for path in written)
    assert sorted(path.name for path in (run_folder / "report").iterdir()) == ["index.html", "report.md"]


def test_a_format_and_a_folder_can_be_chosen(run_folder: Path, tmp_path: Path) -> None:
    assert build_report(run_folder, ["md"], out=tmp_path / "here") == [tmp_path / "here/report.md"]
    assert not (run_folder / "report").exists()


def test_the_page_is_deterministic(summary: Summary, html: str) -> None:
    assert render_html(build_context(summary)) == html


def test_two_data_sets_of_one_title_are_told_apart(summary: Summary) -> None:
    alike = [info.model_copy(update={"title": "Faces"}) for info in summary.datasets]
    views = build_context(summary.model_copy(update={"datasets": alike})).datasets
    assert [view.info.title for view in views] == [info.spec for info in summary.datasets]


def test_the_strip_of_intervals_stays_within_0_and_100_percent(summary: Summary) -> None:
    (row, *_) = summary.rows
    wide = {"accuracy": Estimate(value=0.5, low=0.0, high=1.0)}
    quality = row.quality.model_copy(update={"end_to_end": {**row.quality.end_to_end, **wide}})
    one = summary.model_copy(update={"rows": [row.model_copy(update={"quality": quality})], "comparisons": []})
    assert "0 to 100" in render_html(build_context(one))


def test_the_page_has_every_section_in_order_and_well_formed(html: str) -> None:
    page = Page(html)
    assert not page.open
    assert [one for one in page.ids if one in SECTIONS] == SECTIONS
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("h1") == 1
    assert page.tags.count("main") == 1


def test_the_page_loads_nothing(html: str) -> None:
    page = Page(html)
    assert all(value.startswith(("#", "data:")) for _, _, value in page.addresses)
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)|https?://", html)
    assert "default-src 'none'" in html


def test_every_link_inside_the_page_has_its_target(html: str) -> None:
    page = Page(html)
    assert {value[1:] for _, _, value in page.addresses if value.startswith("#")} <= set(page.ids)


def test_every_point_links_to_its_line_by_name(html: str, summary: Summary) -> None:
    for width in ("960", "360"):
        link = re.search(rf'<g id="point-d1-r1-{width}">.*?<a ([^>]*)>', html, flags=re.DOTALL)
        assert link is not None
        assert 'href="#d1-r1"' in link[1]
        assert 'aria-label="mini-xception-litert: 60.0 %' in link[1]
    assert 'target="_blank"' not in html


def test_figures_are_xml_follow_the_theme_and_speak(html: str, summary: Summary) -> None:
    figures = re.findall(r"<svg .*?</svg>", html, flags=re.DOTALL)
    assert len(figures) == 2 * 2 * len(summary.datasets)  # scatter and stages, wide and narrow
    for figure in figures:
        root = ET.fromstring(figure)
        assert root.get("role") == ("group" if "<a " in figure else "img")
        assert root.get("aria-label")
        assert "var(--" in figure
        assert not re.findall(r"#[0-9a-f]{6}\b", figure), "a fixed colour does not follow the theme"


def test_the_theme_follows_the_system_and_can_be_chosen(html: str) -> None:
    assert "prefers-color-scheme: dark" in html
    assert ':root[data-theme="dark"]' in html
    assert "localStorage" in html
    assert "@media print" in html


def test_numbers_are_those_of_the_summary(html: str, markdown: str, summary: Summary) -> None:
    page = Page(html).text
    for row in summary.rows:
        if row.quality is None:
            continue
        accuracy, macro = row.quality.end_to_end["accuracy"], row.quality.end_to_end["macro_f1"]
        total = row.latency[0].stages["total"]
        for share in (accuracy, macro):
            assert share.low is not None
            assert share.high is not None
            text = f"{100 * share.low:.1f}–{100 * share.high:.1f}"
            assert f"{100 * share.value:.1f} {text}" in page
            assert f"| {100 * share.value:.1f} ({text}) |" in markdown
        assert f"{row.quality.detected['log_loss'].value:.3f}" in page
        assert f"{total.p50:.2f}" in page
        assert f"{row.latency[0].throughput_fps:,.0f}" in page
        for scores in row.quality.per_class.values():
            assert f"{100 * scores.f1:.1f}" in page
    for pair in summary.comparisons:
        assert f"{abs(100 * pair.difference):.1f}" in page


def test_confusion_cells_carry_their_counts(html: str, summary: Summary) -> None:
    quality = summary.rows[0].quality
    assert quality is not None
    counts = quality.confusion[0]
    assert f'title="angry as angry: {counts[0]} of {sum(counts)}"' in html


def test_percentiles_that_the_frames_do_not_carry_are_dashes(make_summary: Callable[..., Summary]) -> None:
    few = make_summary()
    row = few.rows[0]
    stages = {name: one.model_copy(update={"n": 40}) for name, one in row.latency[0].stages.items()}
    thin = row.model_copy(update={"latency": [row.latency[0].model_copy(update={"stages": stages})]})
    markdown = render_markdown(build_context(few.model_copy(update={"rows": [thin]})))
    line = next(line for line in markdown.splitlines() if line.startswith(f"| 1 | `{thin.row}`"))
    assert [cell.strip() for cell in line.split("|")][-4] == "–"
    assert "p90 needs 64" in markdown


def test_failed_and_skipped_rows_appear_with_their_reason(html: str, markdown: str) -> None:
    page = Page(html).text
    for status in ("failed", "skipped"):
        assert f"{status} : the model file face_detection_yunet.onnx is not there" in page
        assert f"**{status}**: the model file face\\_detection\\_yunet.onnx is not there" in markdown


def test_a_scored_row_whose_timing_failed_says_so_beside_its_name(make_summary: Callable[..., Summary]) -> None:
    summary = make_summary()
    failed = CellError(type="WorkerError", message="the worker ran out of time")
    rows = [row.model_copy(update={"error": failed}) if row.row == "pca-svm" else row for row in summary.rows]
    context = build_context(make_summary(rows=rows))
    page, text = render_html(context), render_markdown(context)
    marked = re.search(r"<tr[^>]*>(?:(?!</tr>).)*pca-svm(?:(?!</tr>).)*timing incomplete", page, re.DOTALL)
    assert marked
    assert "WorkerError: the worker ran out of time" in page
    assert any("`pca-svm`" in line and "⚠ timing incomplete" in line for line in text.splitlines())
    assert "WorkerError: the worker ran out of time" in text
    assert "timing incomplete" not in render_html(build_context(summary))


def test_a_pretrained_row_says_what_it_learnt_from(make_summary: Callable[..., Summary]) -> None:
    summary = make_summary()
    source = Pretrained(name="tiny", content="0" * 16, runtime="litert", dataset="ckplus", split="all", n=981)
    change = {"pretrained": source, "fit_seconds": None}
    rows = [row.model_copy(update=change) if row.row == "pca-svm" else row for row in summary.rows]
    context = build_context(make_summary(rows=rows))
    for page in (render_html(context), render_markdown(context)):
        assert "pretrained: tiny, trained on ckplus all" in page
    unknown = Pretrained(name="x", content="0", runtime="keras")
    assert "faces that its record does not name" in unknown.text


def test_published_figures_stand_beside_the_measured_ones(make_summary: Callable[..., Summary]) -> None:
    summary = make_summary()
    row = next(row for row in summary.rows if row.row == "pca-svm" and row.quality)
    assert row.quality is not None
    measured = row.quality.end_to_end["accuracy"].value
    figures = Published(measured + 0.052, "their <own> faces")
    theirs = PublishedFigures(preset="pca", source="They 2013", figures=figures)
    rows = [row.model_copy(update={"published": theirs}) if one is row else one for one in summary.rows]
    context = build_context(make_summary(rows=rows))
    page, text = Page(render_html(context)), render_markdown(context)
    assert "published" in page.ids
    assert ("a", "href", "#published") in page.addresses
    assert "Published and measured" in page.text
    line = next(line for line in text.splitlines() if "They 2013: their &lt;own&gt; faces" in line)
    assert line.startswith(f"| `pca-svm` | {100 * figures.accuracy:.1f} | {100 * measured:.1f} (")
    assert "| −5.2 | – |" in line
    assert "published" not in Page(render_html(build_context(summary))).ids
    assert "Published and measured" not in render_markdown(build_context(summary))


def test_synthetic_faces_bypassed_detectors_and_the_law_are_spelled_out(html: str, markdown: str) -> None:
    for text in (Page(html).text, markdown):
        assert "drawn by a program" in text
        assert "bypassed" in text
        assert "An expression is not an emotion" in text
        assert "AI Act" in text
        assert "ferbench run suites/classical-vs-deep.yaml --profile quick" in text


def test_checks_name_rare_classes_and_unstable_rows_first_of_all(html: str) -> None:
    page = Page(html).text
    for words in ("Built-in scenes: Fewer than 30 scored faces: angry 28", "1 of 8 rows: pca-svm (the medians"):
        assert page.count(words) == 1
        assert page.index(words) < page.index("is right most often")


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "a\"b'><img src=x onerror=alert(1)>", "$x_1$ & `b` | c @user\n# d", "x" * 300]
)
def test_no_name_breaks_the_page_or_the_tables(summary: Summary, name: str) -> None:
    context = build_context(renamed(summary, name))
    html, markdown = render_html(context), render_markdown(context)
    page = Page(html)
    assert not page.open
    assert page.tags.count("script") == 2
    assert "img" not in page.tags
    for figure in re.findall(r"<svg .*?</svg>", html, flags=re.DOTALL):
        ET.fromstring(figure)
    assert all(len(widths) == 1 for widths in table_widths(markdown))
    outside_code = re.sub(r"(`+).+?\1", "", markdown, flags=re.DOTALL)
    assert "<script" not in outside_code
    assert "<img" not in outside_code
    assert "@user" not in outside_code


def test_markdown_tables_are_rectangular(markdown: str) -> None:
    widths = table_widths(markdown)
    assert len(widths) > 10
    assert all(len(one) == 1 for one in widths)


def test_markdown_sentences_keep_their_blanks(markdown: str) -> None:
    assert "On FER2013 (3,589 faces), `mini-xception-litert` is right most often" in markdown


def variants(make: Callable[..., Summary]) -> dict[str, Summary]:
    base = make()
    row, failed = base.rows[0], base.rows[8]
    zero = {
        n: t.model_copy(update=dict.fromkeys(("p50", "p50_low", "mean"), 0.0)) for n, t in row.latency[0].stages.items()
    }
    still = row.latency[0].model_copy(update={"stages": zero})
    empty = base.model_copy(update={"comparisons": [], "environment": {}})
    return {
        "one row": empty.model_copy(update={"rows": [row]}),
        "zero latency": empty.model_copy(update={"rows": [row.model_copy(update={"latency": [still]}), base.rows[1]]}),
        "no latency": empty.model_copy(update={"rows": [r.model_copy(update={"latency": []}) for r in base.rows]}),
        "only failures": empty.model_copy(update={"rows": [failed]}),
        "only the baseline": empty.model_copy(update={"rows": [base.rows[7]]}),
        "no rows": empty.model_copy(update={"rows": []}),
        "nothing": empty.model_copy(update={"rows": [], "datasets": []}),
    }


@pytest.mark.parametrize(
    "case", ["one row", "zero latency", "no latency", "only failures", "only the baseline", "no rows", "nothing"]
)
def test_thin_runs_have_whole_reports(make_summary: Callable[..., Summary], case: str) -> None:
    context = build_context(variants(make_summary)[case])
    page = Page(render_html(context))
    assert not page.open
    assert [one for one in page.ids if one in SECTIONS] == SECTIONS
    assert all(len(one) == 1 for one in table_widths(render_markdown(context)))


def test_a_row_of_an_undescribed_dataset_is_a_clear_error(summary: Summary) -> None:
    with pytest.raises(RunError, match="undescribed dataset 'fer2013'"):
        build_context(summary.model_copy(update={"datasets": []}))


def test_missing_and_damaged_runs_are_one_line(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError) as missing:
        build_report(tmp_path / "nowhere")
    (run_folder / "summary.json").write_text('{"run_id": ')
    with pytest.raises(RunError) as damaged:
        build_report(run_folder)
    (run_folder / "summary.json").unlink()
    with pytest.raises(RunError) as unfinished:
        build_report(run_folder)
    for error in (missing, damaged, unfinished):
        assert "\n" not in str(error.value)


def test_unknown_formats_are_refused(run_folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'html'"):
        build_report(run_folder, ["htm"])
    with pytest.raises(ParameterError, match="no report format"):
        build_report(run_folder, [])


def test_stage_bars_reach_the_median_frame(summary: Summary) -> None:
    for _, bars in build_context(summary).datasets[1].stage_bars():
        for bar in bars:
            assert bar.total == bar.latency.stages["total"].p50
            assert sum(ms for _, ms in bar.stages) == pytest.approx(bar.total)
            assert bar.stages[-1][0] == "other"


def test_rows_that_are_equal_stand_in_one_order_everywhere(summary: Summary, run_folder: Path) -> None:
    spec = summary.datasets[0].spec
    scored = [row for row in summary.rows if row.dataset == spec and row.quality is not None]
    slow, fast, other = (
        scored[0].model_copy(update={"row": name, "latency": [_at(scored[0].latency[0], ms)]})
        for name, ms in (("twin-b", 9.0), ("twin-a", 2.0), ("twin-c", 9.0))
    )
    failed = next(row for row in summary.rows if row.quality is None).model_copy(update={"dataset": spec, "row": "bad"})
    rows = [failed, other, slow, fast]
    equal = summary.model_copy(update={"rows": rows, "comparisons": [], "datasets": summary.datasets[:1]})
    expected = ["twin-a", "twin-b", "twin-c", "bad"]
    assert [row.row for row in best_first(rows)] == expected
    (view,) = build_context(equal).datasets
    assert [row.name for row in view.rows] == expected
    (run_folder / "summary.json").write_text(equal.model_dump_json())
    shown = describe(run_folder)
    assert list(shown["rows"][spec]) == expected
    printed = leaderboard(equal)
    assert sorted(expected, key=printed.index) == expected


def _at(timing: LatencySummary, ms: float) -> LatencySummary:
    total = timing.stages["total"].model_copy(update={"p50": ms})
    return timing.model_copy(update={"stages": {**timing.stages, "total": total}})


def test_chance_is_that_of_the_expressions_shown(summary: Summary) -> None:
    info = summary.datasets[0]
    two = {label: 30 * (label in ("happy", "sad")) for label in info.labels}
    shown = summary.model_copy(
        update={"datasets": [info.model_copy(update={"class_counts": two}), *summary.datasets[1:]]}
    )
    assert [build_context(one).datasets[0].chance for one in (summary, shown)] == [1 / 7, 1 / 2]
