"""Make the cases of a report page, worst first: pictures, numbers, volumes for the viewer, maps of skips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from .html.parts import Row, Table
from .report_axis import format_value
from .report_content import CaseFiles, Content, Metric, Score
from .report_crops import Pack, pack_volumes
from .report_maps import MapPicture, Probe, draw_case_maps
from .report_slices import PlanePicture, make_planes
from .report_volumes import read_case_volumes
from .text import printable

__all__ = ["CaseView", "list_case_views", "main_metric", "order_cases"]

OPEN_CASES = 3  # that are open when the page is opened
VOLUME_BYTES = 5_200_000  # of all volumes on a page, as text
_MAX_PACK = 900_000  # of one case's volumes, so that it opens quickly


@dataclass(frozen=True)
class CaseView:
    """A case as the page shows it.

    Attributes:
        anchor: the ``id``.
        rank: its place in the order, from 1.
        name: its name.
        subject: its subject; empty if there is none to name.
        headline: its main value in each set.
        flags: such as ``1 missed``.
        gap: the difference between the best and the worst set, for sorting; empty with one set.
        opened: whether it is open when the page is opened.
        planes: pictures with outlines.
        layers: titles of the sets whose outlines the pictures have, by number.
        has_reference: whether the pictures have outlines of the reference.
        table: all its values.
        pack: volumes for the viewer; None without them.
        maps: pictures of what the skips pass.
        notes: sentences.
    """

    anchor: str
    rank: int
    name: str
    subject: str
    headline: Sequence[tuple[str, str]]
    flags: Sequence[str] = ()
    gap: str = ""
    opened: bool = False
    planes: Sequence[PlanePicture] = ()
    layers: Mapping[int, str] = field(default_factory=dict)
    has_reference: bool = False
    table: Table | None = None
    pack: Pack | None = None
    maps: Sequence[MapPicture] = ()
    notes: Sequence[str] = ()


def main_metric(content: Content) -> Metric | None:
    """Return the metric that orders the cases: Dice, or the first one of which more or less is better."""
    by_name = {metric.name: metric for metric in content.metrics}
    return by_name.get("dice") or next((metric for metric in content.metrics if metric.better), None)


def order_cases(content: Content) -> list[CaseFiles]:
    """Return the cases, worst first: by the mean of the main metric over labels and sets.

    Cases without values come first, as nothing is known of them; cases of a prediction stay in their order.
    """
    metric = main_metric(content)
    if metric is None:
        return list(content.cases)
    values: dict[str, list[float]] = {}
    for score in content.scores:
        if metric.name in score.values:
            values.setdefault(score.case, []).append(score.values[metric.name])
    sign = 1 if metric.better == "higher" else -1

    def key(case: CaseFiles) -> tuple[int, float]:
        known = values.get(case.name)
        if not known:
            return (0 if case.predictions else 2, 0.0)
        mean = fmean(map(abs, known)) if metric.better == "zero" else fmean(known)
        return 1, sign * mean

    return sorted(content.cases, key=key)


def list_case_views(
    content: Content,
    ordered: Sequence[CaseFiles],
    *,
    pictures: int,
    viewer: bool,
    probe: Probe | None,
    memory: int | None = None,
) -> Iterator[CaseView]:
    """Yield the cases of a page; each one's files are read when it is asked for.

    Args:
        content: the content of the page.
        ordered: the cases in their order, see `order_cases`.
        pictures: number of the first cases that have pictures and volumes.
        viewer: whether the page has the 3D viewer.
        probe: maps of skips.
        memory: bytes that a case's volumes may take; None for 80 % of the free memory.
    """
    by_case: dict[str, list[Score]] = {}
    for score in content.scores:
        by_case.setdefault(score.case, []).append(score)
    room = min(_MAX_PACK, VOLUME_BYTES // max(1, min(pictures, len(ordered))))
    for number, case in enumerate(ordered):
        view = _make_view(content, case, number, by_case.get(case.name, []))
        if number < pictures:
            view = _add_pictures(view, case, content, room if viewer else 0, probe, memory)
        yield view


def _make_view(content: Content, case: CaseFiles, number: int, scores: Sequence[Score]) -> CaseView:
    metric = main_metric(content)
    headline: list[tuple[str, str]] = []
    means = []
    for name in content.sets:
        values = [one.values[metric.name] for one in scores if metric and one.set == name and metric.name in one.values]
        if metric and values:
            means.append(fmean(values))
            title = f"{metric.title}, {name}" if len(content.sets) > 1 else metric.title
            headline.append((title, format_value(means[-1], metric.unit)))
    if case.uncertainty is not None:
        headline.append(("uncertainty", f"{case.uncertainty:.3f}"))
    flags = [
        f"{count} {word}"
        for outcome, word in (("missed", "missed"), ("false_positive", "invented"))
        if (count := sum(one.outcome == outcome for one in scores))
    ]
    lacking = [name for name, path in case.predictions.items() if path is None]
    flags += [f"no prediction of {name}" if len(content.sets) > 1 else "no prediction" for name in lacking]
    return CaseView(
        anchor=f"case-{number + 1}",
        rank=number + 1,
        name=case.name,
        subject=case.subject,
        headline=headline,
        flags=flags,
        gap=f"{max(means) - min(means):.6f}" if len(means) > 1 else "",
        opened=number < OPEN_CASES,
        table=_make_table(content, scores),
        notes=case.notes,
    )


def _make_table(content: Content, scores: Sequence[Score]) -> Table | None:
    if not scores:
        return None
    several = len(content.sets) > 1
    sized = any(size is not None for one in scores for size in one.sizes)
    rows = []
    for one in scores:
        cells = [format_value(one.values.get(metric.name), metric.unit) for metric in content.metrics]
        cells += [_format_size(size, one.unit) for size in one.sizes] if sized else []
        outcome = {"false_positive": "invented"}.get(one.outcome, one.outcome or "-")
        note = one.set if several else ""
        rows.append(Row(one.label, [outcome, *cells], note=note, swatch=content.find_style(one.label)))
    heads = ["label", "outcome", *(metric.title for metric in content.metrics)]
    heads += ["size, reference", "size, prediction"] if sized else []
    return Table("Numbers of the case", heads, rows)


def _format_size(size: float | None, unit: str) -> str:
    return "-" if size is None else f"{size:.3g} {unit.replace('2', '²')}"


def _add_pictures(
    view: CaseView, case: CaseFiles, content: Content, room: int, probe: Probe | None, memory: int | None
) -> CaseView:
    if not (case.image or case.reference or any(case.predictions.values())):
        return view
    found = read_case_volumes(case, memory)
    layers = {number: name for number, name in enumerate(content.sets) if name in found.maps}
    drawn, lost = draw_case_maps(probe, case.name, found) if probe is not None and found.shape else ([], [])
    pack = pack_volumes(found, content.sets, max_bytes=room) if room and found.shape else None
    notes = [*view.notes, *found.notes, *lost]
    notes += [pack.note] if pack is not None and pack.note else []
    return replace(
        view,
        planes=make_planes(found, content.sets, name=printable(case.name)) if found.shape else (),
        layers=layers,
        has_reference="" in found.maps,
        pack=pack,
        maps=drawn,
        notes=notes,
    )
