"""Write the report page of a comparison, evaluation, training, bundle or prediction as one HTML file."""

from __future__ import annotations

import base64
import gzip
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from tqdm import tqdm

from ..data.errors import InputError
from ..labelmaps.palette import UNDECLARED_COLOUR, hex_colour
from ..version import __version__
from .html.page import read_asset, write_page
from .html.parts import Page, Tile
from .report_axis import format_value
from .report_cases import list_case_views, main_metric, order_cases
from .report_content import MEAN, Content
from .report_curves import make_charts, make_values
from .report_distribution import make_panels
from .report_maps import make_level_table, read_probe
from .report_read import read_content
from .report_tables import list_lost, make_arms, make_means, make_pairs, make_ranking
from .text import count_of, printable
from .viewer import MISSING, Viewer, find_viewer

__all__ = ["MAX_PICTURES", "write_report"]

MAX_PICTURES = 50
"""Cases with pictures and volumes by default; the page has the numbers of all."""
_PATIENCE = 3.0  # seconds until a terminal gets a progress bar
_MAX_SENTENCES = 3  # at the top of a comparison


def write_report(
    source: str | Path,
    output: str | Path,
    *,
    images: str | Path | None = None,
    probe: str | Path | None = None,
    pictures: int = MAX_PICTURES,
    viewer: bool = True,
    memory: int | None = None,
) -> list[str]:
    """Write a report as one self-contained HTML file, which opens from a disk and needs no network.

    Args:
        source: folder of a comparison, an evaluation, a training, a bundle or a prediction: see `read_content`.
        output: the HTML file, written whole or not at all.
        images: folder with the scans, for cases whose scan the source does not name.
        probe: folder of ``lightskip probe --maps``, whose maps are shown with their cases.
        pictures: number of cases, from the worst on, that have pictures and volumes.
        viewer: whether the page contains the 3D viewer, if it is installed.
        memory: bytes that a case's volumes may take; None for 80 % of the free memory. Larger ones are not shown.

    Returns:
        Notes for the user.

    Raises:
        InputError: the source is none of these, a file of it is broken, or the output cannot be written.
    """
    content = read_content(source, images=images)
    maps = None if probe is None else read_probe(Path(probe).expanduser())
    found = find_viewer() if viewer and _has_volumes(content) else None
    notes = [MISSING] if viewer and found is None and _has_volumes(content) else []
    ordered = order_cases(content)
    anchors = {case.name: f"case-{number}" for number, case in enumerate(ordered, start=1)}
    layers = range(len(content.sets))
    try:
        write_page(
            output,
            "report_page.html",
            _make_page(content, source),
            style=read_asset("report_page.css") + _make_style(content, layers),
            script=read_asset("report_viewer.js") + read_asset("report_page.js"),
            later_scripts=[found.script] if found is not None else [],
            content=content,
            sentences=_list_sentences(content),
            tiles=_make_tiles(content),
            notes=[*content.notes, *notes],
            plan=_keep_lines(content.plan),
            histories=[(one.name, make_charts(content, one), make_values(one)) for one in content.histories],
            panels=make_panels(content, anchors),
            means=make_means(content),
            arms=make_arms(content),
            ranking=make_ranking(content),
            pairs=make_pairs(content),
            lost=list_lost(content, anchors),
            legend=[(f"s{value}", name) for name, value in content.labels.items()],
            levels=None if maps is None else make_level_table(maps),
            number=len(ordered),
            shown=min(pictures, len(ordered)),
            order=_describe_order(content),
            several=len(content.sets) > 1,
            cases=tqdm(
                list_case_views(
                    content, ordered, pictures=pictures, viewer=found is not None, probe=maps, memory=memory
                ),
                total=len(ordered),
                desc="Writing the page",
                unit="case",
                disable=None,
                delay=_PATIENCE,
            ),
            viewer=found,
            viewer_code=None if found is None else _pack_script(found),
            licence=None if found is None else _keep_lines(found.licence),
        )
    except OSError as error:
        raise InputError(
            os.fspath(output),
            found=f"a file that cannot be written ({error.strerror})",
            expected="a writable folder with space for the report",
            remedy="choose another folder, or free disk space",
        ) from error
    return notes


def _has_volumes(content: Content) -> bool:
    return any(case.reference or any(case.predictions.values()) for case in content.cases)


def _make_page(content: Content, source: str | Path) -> Page:
    now = datetime.now(UTC)
    return Page(
        kind=f"{content.kind} report",
        name=content.name,
        facts=content.facts,
        provenance={
            "Source": str(Path(source).absolute()),
            "Page made": f"{now.day} {now:%B %Y, %H:%M} UTC, by LightSkip {__version__}",
        },
        note=f"The same content for programs is in {' and '.join(content.source)}.",
    )


def _list_sentences(content: Content) -> list[str]:
    """Return the most important results in words: of the main metric, over all labels first."""
    paired = content.summary.get("paired") or ()
    metric = main_metric(content)
    chosen = [one for one in paired if metric is not None and one.get("metric") == metric.name and one.get("sentence")]
    chosen.sort(key=lambda one: one.get("label") != MEAN)
    sentences = [str(one["sentence"]) for one in chosen[:_MAX_SENTENCES]]
    if not sentences and metric is not None and metric.name == "dice":
        for name in content.sets:
            values = [score.values["dice"] for score in content.scores if score.set == name and "dice" in score.values]
            if values:
                who = f" of {name}" if len(content.sets) > 1 else ""
                mean = format_value(_mean_of_labels(content, name, "dice"))
                sentences.append(f"Mean Dice{who}: {mean}, the mean over {content.row_word}s of the means over cases.")
    return sentences


def _mean_of_labels(content: Content, name: str, metric: str) -> float | None:
    groups: dict[str, list[float]] = {}
    for score in content.scores:
        if score.set == name and metric in score.values:
            groups.setdefault(score.label, []).append(score.values[metric])
    means = [sum(values) / len(values) for values in groups.values()]
    return sum(means) / len(means) if means else None


def _make_tiles(content: Content) -> list[Tile]:
    if not content.cases:
        return []
    tiles = [Tile(f"{len(content.cases):,}", "case" if len(content.cases) == 1 else "cases", anchor="cases")]
    if len(content.sets) > 1:
        tiles.append(Tile(f"{len(content.sets)}", "sets", anchor="means"))
    elif content.kind != "prediction" and (mean := _mean_of_labels(content, content.sets[0], "dice")) is not None:
        tiles.append(Tile(f"{mean:.3f}", "mean Dice", anchor="means"))
    if any(score.outcome for score in content.scores) and content.kind != "prediction":
        for outcome, noun, anchor in (("missed", "missed", "missed"), ("false_positive", "invented", "invented")):
            count = sum(score.outcome == outcome for score in content.scores)
            tiles.append(Tile(f"{count:,}", noun, "problem" if count else "zero", anchor if count else None))
    return tiles


def _describe_order(content: Content) -> str:
    metric = main_metric(content)
    if content.kind == "prediction" or metric is None:
        known = any(case.uncertainty is not None for case in content.cases)
        return "Most uncertain first." if known else "In the order of the files."
    over = "labels and sets" if len(content.sets) > 1 else "labels"
    return f"Worst first, by the mean {metric.title} over {over}."


def _make_style(content: Content, layers: Sequence[int]) -> str:
    """Return the CSS of the colours of labels, and of the switches between sets."""
    colours = {value: hex_colour(value) if value >= 0 else UNDECLARED_COLOUR for value in content.labels.values()}
    rules = [
        f".swatch.s{value}{{background:{one}}}.mark.s{value},.line.s{value}{{--c:{one}}}"
        for value, one in colours.items()
    ]
    rules += [_style_region(place, values, colours) for place, values in enumerate(content.regions.values())]
    rules += [f".layer-{one}:checked~.planes .of-{one}{{display:inline}}" for one in layers]
    return "\n".join(rules) + "\n"


def _style_region(place: int, values: Sequence[int], colours: Mapping[int, str]) -> str:
    """Return the CSS of a region: its swatch has the colours of all its labels, its marks that of the first one."""
    own = [colours[value] for value in values if value in colours] or [UNDECLARED_COLOUR]
    share = 100 / len(own)
    stops = ",".join(f"{one} {number * share:.4g}% {(number + 1) * share:.4g}%" for number, one in enumerate(own))
    return f".swatch.r{place}{{background:linear-gradient(90deg,{stops})}}.mark.r{place},.line.r{place}{{--c:{own[0]}}}"


def _keep_lines(text: str) -> Markup:
    """Return text with its lines and their indentation, escaped."""
    lines = [" " * (len(line) - len(line.lstrip(" "))) + printable(line) for line in text.splitlines()]
    return Markup("\n").join(escape(line) for line in lines)


def _pack_script(viewer: Viewer) -> dict[str, Any]:
    packed = gzip.compress(viewer.script.encode(), 9, mtime=0)
    return {"text": Markup(base64.b64encode(packed).decode()), "size": count_of(len(packed), "byte")}
