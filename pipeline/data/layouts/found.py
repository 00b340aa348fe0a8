"""The cases of a dataset as they are on the disk, before folds and checksums: the result of every layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import InputError

__all__ = ["Found", "Item", "Unlabelled", "join_names", "short_names", "split_by_label"]

Unlabelled = Literal["refuse", "test", "ignore"]

_MAX_NAMES = 10


@dataclass(frozen=True)
class Item:
    """One case.

    Args:
        images: its files, or folders of DICOM series, one per channel in the channels' order; absolute.
        label: its label map; None if it has none.
        subject: whose scan it is; None if the source does not say.
        fold: number of its fold; None if the source does not say.
        columns: further facts from the source, by name: site, sex, age.
        place: where the source names it, such as "line 3"; empty if the files themselves are the source.
        masks: a binary file for each class that was annotated, by the class's name, instead of a label map.
        annotated: names of the labels or regions that were annotated; None if all were.
    """

    images: tuple[Path, ...]
    label: Path | None = None
    subject: str | None = None
    fold: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    place: str = ""
    masks: Mapping[str, Path] = field(default_factory=dict)
    annotated: tuple[str, ...] | None = None

    @property
    def is_labelled(self) -> bool:
        """Whether it has a label map, or masks to merge into one."""
        return self.label is not None or bool(self.masks)


@dataclass(frozen=True)
class Found:
    """A dataset as a layout describes it.

    Args:
        source: the file or folder that was read; errors name it.
        folder: the dataset folder, absolute: paths of a datalist start there.
        training: cases with label maps.
        test: cases to predict.
        described: facts about the whole dataset: name, description, licence, reference, release, `modality` (names of
            the channels) and `labels`, both in the source's own form.
        left_out: the files that were found but not taken as cases, and why: one line for each reason.
        layout: what the source was recognised as, in words for the user.
        notes: what a user should know about how the source was read: one line each.
        classes: names of the classes that have a mask each, in the order of writing; empty if cases have label maps.
    """

    source: Path
    folder: Path
    training: Sequence[Item]
    test: Sequence[Item] = ()
    described: Mapping[str, Any] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    layout: str = ""
    notes: Sequence[str] = ()
    classes: Sequence[str] = ()


def split_by_label(
    items: Iterable[Item], unlabelled: Unlabelled, source: Path
) -> tuple[list[Item], list[Item], list[str]]:
    """Split cases into training cases and test cases.

    Args:
        items: the cases.
        unlabelled: how to treat cases without a label map: "refuse" raises an error that names them, "test" makes
            them test cases, "ignore" leaves them out.
        source: the file or folder that names the cases.

    Returns:
        The training cases, the test cases, and a line for `Found.left_out` if cases were left out.

    Raises:
        InputError: there are unlabelled cases, and `unlabelled` is "refuse".
    """
    if unlabelled not in get_args(Unlabelled):
        words = " or ".join(f'"{word}"' for word in get_args(Unlabelled))
        raise InputError("unlabelled", found=repr(unlabelled), expected=words, remedy="choose one of these")
    items = list(items)
    training = [item for item in items if item.is_labelled]
    without = [item for item in items if not item.is_labelled]
    names = short_names([item.images[0] for item in without], among=[item.images[0] for item in items])
    places = [_shown_place(item) for item in without]
    if without and unlabelled == "refuse":
        raise InputError(
            source,
            found=f"{len(without)} of {len(items)} cases without a label map: "
            + join_names(f"{name}{place}" for name, place in zip(names, places, strict=True)),
            expected="a label map for every case",
            remedy="add the label maps, or use --unlabelled test (predict these cases) or --unlabelled ignore",
        )
    if unlabelled == "test" or not without:
        return training, without, []
    return training, [], [f"{len(without)} without a label map ({join_names(names)})"]


def _shown_place(item: Item) -> str:
    return f" ({item.place})" if item.place else ""


def short_names(paths: Sequence[Path], *, among: Sequence[Path]) -> list[str]:
    """Return the names of files for a message; whole paths if another file has such a name, as in a folder per case.

    Args:
        paths: the files to name.
        among: all files that a reader may take them for, these included.
    """
    counts = Counter(path.name for path in set(among))
    return [path.name if counts[path.name] < 2 else str(path) for path in paths]


def join_names(names: Iterable[str]) -> str:
    """Return names joined for a message: the first ten, and the number of the rest."""
    names = list(names)
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
