"""Write a study's report as one HTML file that loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from ...report.html.page import read_asset, write_page
from ...report.html.parts import Page, Table
from ...report.report_curves import Chart
from ...version import __version__
from .content import READING, Content, Part
from .curves import make_curve_charts
from .forest import FOREST_HEADS, Forest, make_forest
from .heat_maps import HeatMap, Scale, draw_heat_maps, draw_scale
from .lines import clean_lines
from .measured import make_membrane_table, make_probe_table
from .origin import list_facts, list_lost, list_origins, make_run_table
from .pareto import Panel, make_panels
from .results import OVERALL
from .robust_tables import make_area_table, make_robust_charts
from .robustness import AREA
from .tables import (
    make_accuracy_table,
    make_cost_table,
    make_label_table,
    make_level_table,
    make_matrix,
)
from .verdict import Verdict

__all__ = ["write_page_of_study"]

_PARTS = {
    "forests": "forests",
    "panels": "panels",
    "robust": "areas",
    "membranes": "membranes",
    "heat_maps": "heat_maps",
    "curves": "curves",
    "probes": "probes",
}


@dataclass(frozen=True)
class View:
    """What the page shows of one group: the fields are those of ``study_page.html``."""

    title: str
    structure: str
    anchor: str
    verdicts: Sequence[Verdict]
    area_verdicts: Sequence[Verdict]
    warning: str
    notes: Sequence[str]
    accuracy: Table
    cost: Table | None
    labels: Table | None
    levels: Table | None
    forests: Sequence[Forest]
    label_forest: Forest | None
    panels: Sequence[Panel]
    areas: Table | None
    area_forest: Forest | None
    robust_charts: Sequence[Chart]
    curves: Sequence[Chart]
    heat_maps: Sequence[HeatMap]
    membranes: Table | None
    probes: Table | None


def write_page_of_study(path: Path, content: Content) -> None:
    """Write the page.

    Args:
        path: the HTML file, written whole or not at all.
        content: the content of the report.

    Raises:
        OSError: If the file cannot be written.
    """
    given = content.given
    groups = [part.group for part in content.parts]
    scale = draw_scale(groups)
    lost = list_lost(given)
    page = Page(
        kind="study",
        name=given.name,
        facts=list_facts(given, groups),
        provenance=list_origins(given),
        note=f"Made by LightSkip {__version__}. The same content for programs is in study.csv (a row per arm), "
        "study_runs.csv (a row per run) and study.json.",
    )
    views = [_make_view(part, given.baseline, place, scale) for place, part in enumerate(content.parts, start=1)]
    has = {key: any(getattr(view, field) for view in views) for key, field in _PARTS.items()}
    write_page(
        path,
        "study_page.html",
        page,
        style=read_asset("report_page.css") + read_asset("study_page.css"),
        question=given.question,
        about=given.about,
        headline=content.headline,
        matrix=make_matrix(content.verdicts),
        views=views,
        has=has,
        nav=_list_parts(has, bool(views), bool(lost)),
        heads=FOREST_HEADS,
        baseline=given.baseline,
        scale=scale,
        reading=READING,
        lost=lost,
        runs=make_run_table(given),
        study_text=Markup("\n").join(escape(line) for line in clean_lines(given.text)),
    )


def _make_view(part: Part, baseline: str, place: int, scale: Scale | None) -> View:
    group, result, robust = part.group, part.result, part.robust
    metrics = (("dice", "Dice", ""), ("hd95_mm", "HD95", group.unit), ("nsd", "NSD", ""))
    found = [make_forest(f"{title}, {group.overall}", result.select(metric), unit) for metric, title, unit in metrics]
    single = [one for one in result.contrasts if one.label != OVERALL]
    areas = [] if robust is None else [one for one in robust.contrasts if one.label == AREA]
    return View(
        title=group.title,
        structure=group.structure,
        anchor=f"group-{place}",
        verdicts=part.verdicts,
        area_verdicts=part.area_verdicts,
        warning=part.warning,
        notes=part.notes,
        accuracy=make_accuracy_table(group, result, baseline, robust),
        cost=make_cost_table(group, result, baseline),
        labels=make_label_table(group, result, baseline),
        levels=make_level_table(group, baseline),
        forests=[one for one in found if one is not None],
        label_forest=make_forest(f"Dice of each {group.structure}", single, ""),
        panels=make_panels(group, result, baseline),
        areas=None if robust is None else make_area_table(group, robust, baseline),
        area_forest=make_forest("Area of robustness", areas, ""),
        robust_charts=[] if robust is None else make_robust_charts(group, robust, baseline),
        curves=make_curve_charts(group, baseline),
        heat_maps=[] if scale is None else draw_heat_maps(group, scale),
        membranes=make_membrane_table(group, baseline),
        probes=make_probe_table(group, baseline),
    )


def _list_parts(has: Mapping[str, bool], views: bool, lost: bool) -> list[tuple[bool, str, str]]:
    """Return for each part of the page whether it is there, its anchor and its title."""
    return [
        (views, "numbers", "Numbers"),
        (has["forests"], "comparisons", "Comparisons"),
        (has["panels"], "pareto", "Dice against cost"),
        (has["robust"], "robustness", "Robustness"),
        (has["membranes"], "membranes", "Membranes"),
        (has["heat_maps"], "flow", "Change of the weights"),
        (has["curves"], "curves", "Training curves"),
        (has["probes"], "probes", "Probes"),
        (lost, "lost", "Not in the numbers"),
        (True, "run", "What was run"),
    ]
