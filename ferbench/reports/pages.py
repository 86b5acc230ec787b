"""What page templates share: the jinja environment, its filters and the names it knows."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ferbench.reports import formatting
from ferbench.reports.context import MIN_FRAMES, MIN_SUPPORT, ReportContext, percentile
from ferbench.reports.evidence import (
    MAX_PANELS,
    confident_rows,
    has_confidence,
    has_folds,
    omnibus_text,
    pairs_of,
    risk_at,
    why_no_ranks,
)
from ferbench.reports.machines import machine_times, machines_of
from ferbench.reports.pace import energy_text, fixed_rates, has_pace, highest_rate, resources, streams
from ferbench.reports.shifts import dataset_names, loss, matrix_views, robustness_views
from ferbench.reports.verdict import device_text, verdict

__all__ = ["environment", "render"]


def environment(*, is_html: bool) -> Environment:
    """The templates of this package; an unknown name is an error, and HTML is escaped unless it is marked as safe."""
    return Environment(
        loader=PackageLoader("ferbench.reports"),
        autoescape=is_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, context: ReportContext, *, is_html: bool, **names: Any) -> str:
    """Fill a report's template; callables among ``names`` are filters as well as functions."""
    pages = environment(is_html=is_html)
    filters: dict[str, Any] = {name: getattr(formatting, name) for name in formatting.__all__}
    pages.filters.update({name: value for name, value in (filters | names).items() if callable(value)})
    return pages.get_template(template).render(
        report=context,
        summary=context.summary,
        robustness=robustness_views(context.summary),
        matrices=matrix_views(context.summary),
        names=dataset_names(context.summary),
        loss=loss,
        max_panels=MAX_PANELS,
        confident_rows=confident_rows,
        has_confidence=has_confidence,
        has_folds=has_folds,
        omnibus_text=omnibus_text,
        pairs_of=pairs_of,
        risk_at=risk_at,
        why_no_ranks=why_no_ranks,
        machine_times=machine_times,
        machines_of=machines_of,
        has_pace=has_pace,
        fixed_rates=fixed_rates,
        streams=streams,
        highest_rate=highest_rate,
        resources=resources,
        energy_text=energy_text,
        verdict=verdict,
        device_text=device_text,
        percentile=percentile,
        min_frames=MIN_FRAMES,
        min_support=MIN_SUPPORT,
        dash=formatting.DASH,
        **names,
    )
