"""What a layout gives: the cases of a dataset as they lie on the disk, before folds and checksums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import InputError

__all__ = ["Found", "Item", "Unlabelled", "join_names", "split_by_label"]

Unlabelled = Literal["refuse", "test", "ignore"]

_MAX_NAMES = 10


@dataclass(frozen=True)
class Item:
    """One case.

    Args:
        images: its files, or folders of DICOM series, one per channel in the channels' order; absolute.
        label: its label map; None where it has none.
        subject: whose scan it is, where the source tells.
        fold: number of its fold, where the source tells.
        columns: what the source says about it besides, by name: site, sex, age.
        place: where the source names it, such as "line 3"; empty where the files themselves are the source.
    """

    images: tuple[Path, ...]
    label: Path | None = None
    subject: str | None = None
    fold: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    place: str = ""


@dataclass(frozen=True)
class Found:
    """A dataset as a layout describes it.

    Args:
        source: the file or folder that says so; errors name it.
        folder: the dataset folder, absolute: paths of a datalist start there.
        training: cases with label maps.
        test: cases to predict.
        described: what the source says about the whole: name, description, licence, reference, release, `modality`
            (names of the channels) and `labels`, both as they stand there.
    """

    source: Path
    folder: Path
    training: Sequence[Item]
    test: Sequence[Item] = ()
    described: Mapping[str, Any] = field(default_factory=dict)


def split_by_label(items: Iterable[Item], unlabelled: Unlabelled, source: Path) -> tuple[list[Item], list[Item]]:
    """Part the cases into those for training and those for the test.

    Args:
        items: the cases.
        unlabelled: what becomes of cases without a label map: "refuse" raises an error that names them, "test" makes
            them test items, "ignore" leaves them out.
        source: who names the cases.

    Raises:
        InputError: there are unlabelled cases and they are refused.
    """
    if unlabelled not in get_args(Unlabelled):
        words = " or ".join(f'"{word}"' for word in get_args(Unlabelled))
        raise InputError("unlabelled", found=repr(unlabelled), expected=words, remedy="choose one of these")
    items = list(items)
    training = [item for item in items if item.label is not None]
    without = [item for item in items if item.label is None]
    if without and unlabelled == "refuse":
        raise InputError(
            source,
            found=f"{len(without)} of {len(items)} cases without a label map: "
            + join_names(f"{item.images[0].name}{item.place and f' ({item.place})'}" for item in without),
            expected="a label map for every case",
            remedy="add the label maps, or say what shall become of these cases: --unlabelled test, or ignore",
        )
    return training, without if unlabelled == "test" else []


def join_names(names: Iterable[str]) -> str:
    """Join names for a message, ten at most."""
    names = list(names)
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
