"""What a report says of how sure a run is: one test of all rows, macro F1, ranks, confidence, annotators."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferbench.benchmarks.confidence import summarise_confidence
from ferbench.benchmarks.evidence import (
    AcrossDatasets,
    DatasetEvidence,
    Estimate,
    FoldTest,
    OmnibusTest,
    PairedDifference,
    RankStability,
)
from ferbench.benchmarks.records import Summary
from ferbench.reports.context import build_context
from ferbench.reports.critical_difference import cliques
from ferbench.reports.evidence import omnibus_text, risk_at
from ferbench.reports.html import render_html
from ferbench.reports.markdown import render_markdown


def confidence_of(n: int, accuracy: float):
    rng = np.random.default_rng(n)
    sure = rng.uniform(0.2, 1, n)
    return summarise_confidence(sure, rng.random(n) < sure * accuracy / 0.6, np.arange(n), 0)


@pytest.fixture(scope="module")
def sure(summary: Summary) -> Summary:
    """The example run as runs are now: with everything that says how sure they are."""
    names = [row.row for row in summary.rows if row.quality and row.dataset == summary.datasets[0].spec]
    k = len(names)
    evidence = DatasetEvidence(
        omnibus=OmnibusTest(rows=names, method="cochran", statistic=512.3, df=k - 1, p=1e-9),
        ranks=RankStability(rows=names, above=np.tri(k).T.tolist(), shares=np.eye(k).tolist(), n_resamples=9_999),
        annotators=Estimate(value=0.7331, low=0.7239, high=0.7418),
    )
    rows = [
        row.model_copy(update={"confidence": confidence_of(300, 0.5)}) if row.quality else row for row in summary.rows
    ]
    f1 = PairedDifference(
        difference=0.031, low=0.01, high=0.05, p=0.002, p_holm=0.04, verdict="better", n_resamples=9_999
    )
    folds = FoldTest(difference=0.02, t=1.3, df=9, p=0.226)
    pairs = [
        one.model_copy(update={"macro_f1": f1, "folds": folds, "low": -0.01, "high": 0.05})
        for one in summary.comparisons
    ]
    across = AcrossDatasets(
        datasets=list("abcde"), rows=["first", "second", "<third>"], mean_ranks=[1.2, 2.0, 2.8], statistic=6.4, p=0.041,
        critical_difference=1.48, left_out=["lame"],
    )  # fmt: skip
    datasets = [summary.datasets[0].model_copy(update={"evidence": evidence}), *summary.datasets[1:]]
    return summary.model_copy(update={"datasets": datasets, "rows": rows, "comparisons": pairs, "across": across})


@pytest.fixture(scope="module")
def html(sure: Summary) -> str:
    return render_html(build_context(sure))


@pytest.fixture(scope="module")
def markdown(sure: Summary) -> str:
    return render_markdown(build_context(sure))


def test_all_rows_are_tested_before_two_are(html: str, markdown: str) -> None:
    said = "All together: Cochran’s Q of 8 rows is 512.3 (p &lt; 0.001): they differ."
    assert said in html
    assert said in markdown
    assert html.index("All together") < html.index("All p values")


def test_rows_that_do_not_differ_together_warn_of_their_pairs(sure: Summary) -> None:
    (view, _) = build_context(sure).datasets
    test = view.info.evidence.omnibus.model_copy(update={"p": 0.3})
    info = view.info.model_copy(update={"evidence": view.info.evidence.model_copy(update={"omnibus": test})})
    calm = build_context(sure.model_copy(update={"datasets": [info, sure.datasets[1]]})).datasets[0]
    assert "(p = 0.300): no difference among them is shown" in omnibus_text(calm)


def test_macro_f1_and_folds_stand_beside_accuracy(html: str, markdown: str) -> None:
    assert "Over folds" in html
    assert "corrected resampled t-test" in html
    assert "| +3.1 | 0.040 | better | 0.226 |" in markdown


def test_macro_f1_is_that_of_the_best_row_less_the_others_like_accuracy(sure: Summary) -> None:
    """Also where the suite names the best row last."""
    turned = [one.mirrored() for one in sure.comparisons]
    assert render_markdown(build_context(sure.model_copy(update={"comparisons": turned}))) == render_markdown(
        build_context(sure)
    )


def test_annotators_have_a_line_in_table_and_figure(html: str, markdown: str) -> None:
    assert re.search(r"one human annotator</th>.*?73\.3<small>72\.4–74\.2</small>", html, flags=re.DOTALL)
    assert "one annotator against the others, 73.3 %" in html
    assert "One human annotator against the plurality of the others, on these faces: 73.3 (72.4–74.2) %." in markdown


def test_the_order_over_resamples_is_folded_away(html: str, markdown: str) -> None:
    assert "9,999 times" in html
    assert "How stable is this order on FER2013?" in html
    assert "| `mini-xception-litert` | 100 | 0 |" in markdown


def test_data_sets_are_ranked_from_five_on_and_otherwise_the_report_says_why_not(
    html: str, markdown: str, summary: Summary
) -> None:
    assert "Friedman’s test: χ² = 6.4, p = 0.041" in html
    assert "left out: lame" in html
    assert "cannot be told apart (Nemenyi, 5 %)" in markdown
    reason = "No ranks over data sets: this run has 2, and Friedman’s test"
    assert reason in render_html(build_context(summary))
    assert reason in render_markdown(build_context(summary))


def test_confidence_has_its_numbers_and_figures(html: str, markdown: str, sure: Summary) -> None:
    one = next(row.confidence for row in sure.rows if row.confidence)
    assert f"{one.aurc.value:.3f}<small>{one.aurc.low:.3f}–{one.aurc.high:.3f}</small>" in html
    assert f"| {one.aurc.value:.3f} ({one.aurc.low:.3f}–{one.aurc.high:.3f}) | {one.best_aurc:.3f} |" in markdown
    assert html.count('aria-label="Risk against coverage on') == 2 * 2
    assert html.count('aria-label="Accuracy against confidence on') == 2 * 2


def test_figures_are_whole_and_follow_the_theme(html: str) -> None:
    figures = re.findall(r"<svg .*?</svg>", html, flags=re.DOTALL)
    for figure in figures:
        ET.fromstring(figure)
        assert not re.findall(r"#[0-9a-f]{6}\b", figure)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_a_run_of_before_has_no_empty_sections(summary: Summary) -> None:
    page = render_html(build_context(summary))
    assert 'id="confidence"' not in page
    assert "All together" not in page
    assert "annotator" not in page


def test_the_error_rate_of_the_surest_half_is_none_where_nobody_can_pick_it() -> None:
    ladder = summarise_confidence(np.linspace(0.99, 0.3, 100), np.arange(100) < 50, np.arange(100), 0)
    assert risk_at(ladder, 0.5) == pytest.approx(0.0)
    flat = summarise_confidence(np.full(100, 0.5), np.arange(100) < 50, np.arange(100), 0)
    assert risk_at(flat, 0.5) is None


@given(st.lists(st.floats(1, 9), min_size=1, max_size=9), st.floats(0.1, 8))
def test_bars_join_what_cannot_be_told_apart_and_nothing_else(ranks: list[float], critical: float) -> None:
    ranks = sorted(ranks)
    groups = cliques(ranks, critical)
    for i in range(len(ranks)):
        for j in range(i + 1, len(ranks)):
            is_joined = any(first <= i and j <= last for first, last in groups)
            assert is_joined == (ranks[j] - ranks[i] < critical)
    assert all(not (a[0] <= b[0] and b[1] <= a[1]) for a in groups for b in groups if a != b)


def test_old_summaries_are_read(make_summary: Callable[..., Summary]) -> None:
    old = make_summary().model_dump(mode="json")
    for row in old["rows"]:
        row.pop("confidence", None)
    for dataset in old["datasets"]:
        dataset.pop("evidence", None)
    for pair in old["comparisons"]:
        for name in ("low", "high", "macro_f1", "folds"):
            pair.pop(name, None)
    old.pop("across", None)
    assert Summary.model_validate(old).across is None
