"""Make the tables of a comparison: means per label, paired differences, ranking, missed and invented structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Any

from .html.parts import Row, Table
from .report_axis import Axis, format_value, make_axis
from .report_content import MEAN, Content, Lesion, Metric, Score

__all__ = [
    "Lost",
    "LostGroup",
    "Pair",
    "PairGroup",
    "list_lost",
    "make_arms",
    "make_means",
    "make_pairs",
    "make_ranking",
]

MAX_LOST = 200  # structures in a list; the cases show the others
_LOST = (
    ("Missed", "missed", 0, "The reference has it, the prediction lacks it."),
    ("Invented", "false_positive", 1, "The prediction has it, the reference lacks it."),
)
_LOST_LESIONS = (
    ("Missed lesions", "missed", "Separate parts of the reference without a match."),
    ("Invented lesions", "invented", "Separate parts of the prediction without a match."),
)
_LEVEL = 0.05  # of p, for a difference that is shown
_JUDGED = ("found", "missed", "false_positive")  # outcomes that need a reference


@dataclass(frozen=True)
class Pair:
    """One paired comparison of two sets.

    Attributes:
        label: name of the label.
        metric: title of the metric.
        cells: pairs, difference with interval, effect size, p, p of the trainings, p after Holm, detectable difference.
        place: place of the difference on the axis; None without one.
        interval: places of the ends of its interval.
        shown: whether a difference is shown.
        sentence: the result in words.
    """

    label: str
    metric: str
    cells: Sequence[str]
    place: float | None
    interval: tuple[float, float] | None
    shown: bool
    sentence: str


@dataclass(frozen=True)
class PairGroup:
    """The comparisons of two sets by one metric, with their common axis and the place of zero.

    `heads` are the headings of `Pair.cells`; that of the t-test over trainings is only there with several seeds.
    """

    title: str
    axis: Axis
    zero: float
    heads: Sequence[str]
    pairs: Sequence[Pair]


@dataclass(frozen=True)
class Lost:
    """A missed or an invented structure: case, its anchor, label, set and size."""

    case: str
    anchor: str
    label: str
    set: str
    size: str


@dataclass(frozen=True)
class LostGroup:
    """Structures of one kind: title, anchor, meaning, the largest of them, and the number of all."""

    title: str
    anchor: str
    hint: str
    items: Sequence[Lost]
    number: int


def make_means(content: Content) -> list[Table]:
    """Return a table per set: a row per label with the mean of each metric, and its interval or deviation."""
    tables = []
    judged = any(score.outcome in _JUDGED for score in content.scores)
    for name in content.sets:
        scores = [score for score in content.scores if score.set == name]
        rows = []
        for label in dict.fromkeys([*content.rows, *(score.label for score in scores)]):
            chosen = [score for score in scores if score.label == label]
            if not chosen:
                continue
            counts = [
                f"{sum(score.outcome == outcome for score in chosen)} {word}"
                for outcome, word in (("missed", "missed"), ("false_positive", "invented"))
                if any(score.outcome == outcome for score in chosen)
            ]
            known = ((content.summary.get("statistics") or {}).get(name) or {}).get(label) or {}
            cells = [_describe_mean(chosen, metric, known.get(metric.name)) for metric in content.metrics]
            swatch = content.find_style(label)
            cells += [", ".join(counts) or "-"] if judged else []
            rows.append(Row(label, cells, swatch=swatch))
        overall = ((content.summary.get("statistics") or {}).get(name) or {}).get(MEAN)
        if overall and len(rows) > 1:
            # Its deviation is that of the labels, not of the cases as in the rows above.
            known = {name: {**entry, "std": None} for name, entry in overall.items() if isinstance(entry, Mapping)}
            cells = [_describe_known(known.get(metric.name), metric) for metric in content.metrics]
            rows.append(Row(content.mean_name, [*cells, *([""] if judged else [])]))
        if rows:
            heads = [metric.title + (f", {metric.unit}" if metric.unit else "") for metric in content.metrics]
            tables.append(Table(name, [content.row_word, *heads, *(["missed, invented"] if judged else [])], rows))
    return tables


def make_pairs(content: Content) -> list[PairGroup]:
    """Return the paired comparisons, grouped by the two sets and the metric."""
    metrics = {metric.name: metric for metric in content.metrics}
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for one in content.summary.get("paired") or ():
        groups.setdefault((str(one.get("first")), str(one.get("second")), str(one.get("metric"))), []).append(one)
    found = []
    for (first, second, name), entries in groups.items():
        metric = metrics.get(name) or Metric(name, name)
        ends = [end for one in entries for end in (one.get("interval") or ())]
        known = [one["difference"] for one in entries if one.get("difference") is not None]
        axis = make_axis([0.0, *ends, *known])
        seeds = any(one.get("p_seeds") is not None for one in entries)
        pairs = [_make_pair(one, metric, axis, content, seeds=seeds) for one in entries]
        heads = ["pairs", "difference", "effect size", "p", *(["p, t-test of seeds"] if seeds else []), "p, Holm"]
        title = f"{metric.title}: {second} against {first}"
        found.append(PairGroup(title, axis, axis.place(0.0), [*heads, "detectable"], pairs))
    return found


def make_arms(content: Content) -> Table | None:
    """Return a row per arm of several seeds: its mean over labels and seeds by metric, with its interval."""
    arms = content.summary.get("arms") or {}
    rows = []
    for name, entry in arms.items():
        known = entry.get(MEAN) or {}
        cells = [_describe_known(known.get(metric.name), metric) for metric in content.metrics]
        rows.append(Row(str(name), [str(len(entry.get("sets") or ())), *cells]))
    heads = [metric.title + (f", {metric.unit}" if metric.unit else "") for metric in content.metrics]
    return Table("Arms of several seeds", ["arm", "seeds", *heads], rows) if rows else None


def make_ranking(content: Content) -> Table | None:
    """Return a row per ranked metric, a column per arm: its rank, mean, and how often it is first under bootstrap.

    A set without a seed is an arm of its own, of the set's name.
    """
    metrics = {metric.name: metric for metric in content.metrics}
    arms = {str(one.get("name")): str(one.get("arm") or one.get("name")) for one in content.summary.get("sets") or ()}
    columns = list(dict.fromkeys(arms.get(name, name) for name in content.sets))
    rows = []
    for name, entries in (content.summary.get("ranking") or {}).items():
        metric = metrics.get(name) or Metric(name, name)
        by_set = {str(one.get("set")): one for one in entries}
        rows.append(Row(metric.title, [_describe_rank(by_set.get(one, {}), metric) for one in columns]))
    return Table("Ranking", ["metric", *columns], rows) if rows else None


def list_lost(content: Content, anchors: Mapping[str, str]) -> list[LostGroup]:
    """Return the missed and the invented structures, then lesions, each from the largest on; no empty group."""
    groups = []
    for title, outcome, side, hint in _LOST:
        chosen = [(score, score.sizes[side], score.unit) for score in content.scores if score.outcome == outcome]
        groups.append(_make_lost(content, anchors, title, hint, chosen))
    for title, status, hint in _LOST_LESIONS:
        lesions = [(lesion, lesion.size, lesion.unit) for lesion in content.lesions if lesion.status == status]
        groups.append(_make_lost(content, anchors, title, hint, lesions))
    return [group for group in groups if group.items]


def _make_lost(
    content: Content,
    anchors: Mapping[str, str],
    title: str,
    hint: str,
    chosen: Sequence[tuple[Score | Lesion, float | None, str]],
) -> LostGroup:
    several = len(content.sets) > 1
    items = [
        Lost(
            case=one.case,
            anchor=anchors.get(one.case, ""),
            label=one.label,
            set=one.set if several else "",
            size="" if size is None else f"{size:.3g} {unit.replace('2', '²')}",
        )
        for one, size, unit in sorted(chosen, key=lambda item: -(item[1] or 0.0))
    ]
    anchor = title.lower().replace(" ", "-")
    return LostGroup(title, anchor, hint, items[:MAX_LOST], len(items))


def _make_pair(one: Mapping[str, Any], metric: Metric, axis: Axis, content: Content, *, seeds: bool) -> Pair:
    difference, ends = one.get("difference"), one.get("interval")
    text = "-" if difference is None else f"{difference:+.3f}"
    text += f" [{ends[0]:+.3f}, {ends[1]:+.3f}]" if ends else ""
    effect, detectable = one.get("effect_size"), one.get("detectable")
    p, holm = one.get("p"), one.get("p_holm")
    return Pair(
        label=content.mean_name if one.get("label") == MEAN else str(one.get("label")),
        metric=metric.title,
        cells=[
            str(one.get("pairs", "-")),
            text,
            "-" if effect is None else f"{effect:.2f}",
            _format_p(p),
            *([_format_p(one.get("p_seeds"))] if seeds else []),
            _format_p(holm),
            "-" if detectable is None else f"{detectable:.3f}",
        ],
        place=None if difference is None else axis.place(difference),
        interval=(axis.place(ends[0]), axis.place(ends[1])) if ends else None,
        shown=_is_shown(p if holm is None else holm, ends),
        sentence=str(one.get("sentence") or ""),
    )


def _is_shown(p: float | None, ends: Sequence[float] | None) -> bool:
    """Return whether a difference is shown: by its p after Holm; without one by its interval."""
    if p is not None:
        return p <= _LEVEL  # as in the sentences
    return ends is not None and (ends[0] > 0 or ends[1] < 0)


def _describe_mean(scores: Sequence[Score], metric: Metric, known: Mapping[str, Any] | None) -> str:
    if known and known.get("mean") is not None:
        return _describe_known(known, metric)
    values = [score.values[metric.name] for score in scores if metric.name in score.values]
    if not values:
        return "-"
    deviation = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{fmean(values):.3f}{deviation}, median {median(values):.3f}"


def _describe_known(known: Mapping[str, Any] | None, metric: Metric) -> str:
    if not known or known.get("mean") is None:
        return "-"
    ends, deviation = known.get("interval"), known.get("std")
    decimals = 2 if metric.unit else 3
    text = f"{known['mean']:.{decimals}f}"
    if ends:
        return f"{text} [{ends[0]:.{decimals}f}, {ends[1]:.{decimals}f}]"
    return text if deviation is None else f"{text} ± {deviation:.{decimals}f}"


def _format_p(p: float | None) -> str:
    if p is None:
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _describe_rank(entry: Mapping[str, Any], metric: Metric) -> str:
    rank, first = entry.get("rank"), entry.get("first")
    if rank is None:
        return "-"
    share = "" if first is None else f" ({100 * first:.0f} %)"
    return f"{rank:g}: {format_value(entry.get('mean'), metric.unit)}{share}"
