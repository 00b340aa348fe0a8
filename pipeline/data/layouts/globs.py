"""Two patterns, one for the images and one for the label maps, paired by what their wildcards stand for."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..datalist import require_folder
from ..errors import InputError
from ..images.endings import is_image, scan_name
from ..images.files import is_hidden, is_image_here, natural_order, one_per_pair
from .found import Found, Item, Unlabelled, join_names, split_by_label

__all__ = ["find_globs"]

# A wildcard in the ending, as in scan_*.nii*, tells formats apart and not cases.
_OPEN_ENDING = re.compile(r"\.(?:nii\.?|tif|jp|[mnh])?\*$")
_WILDCARD = re.compile(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\])")


def find_globs(
    images: Sequence[str],
    labels: str | None,
    *,
    dataset_dir: str | Path | None = None,
    unlabelled: Unlabelled = "refuse",
) -> Found:
    """Find images and label maps by patterns.

    `a/ilist*.nii.gz` and `a/slist*.nii.gz` pair a/ilist7.nii.gz with a/slist7.nii.gz, because the `*` stands for 7 in
    both. `*`, `?` and `[…]` stay within a folder's name, `**` goes through folders. Where there are several, what
    all of them stand for must agree. An image may be a folder (a DICOM series). Hidden files do not count.

    Args:
        images: one pattern per channel, in the channels' order.
        labels: the pattern of the label maps; None where there are none.
        dataset_dir: where relative patterns start, and the dataset folder; by default the working folder, and the
            folder that holds all files found.
        unlabelled: what becomes of images without a label map; see `split_by_label`.

    Raises:
        InputError: a pattern finds nothing or two files for one case, has another number of wildcards than the
            others, or finds files that no other pattern has a partner for.
    """
    start = require_folder(dataset_dir) if dataset_dir is not None else Path.cwd()
    patterns = [*images, *([labels] if labels is not None else [])]
    _check_patterns(patterns, len(images))
    found = {pattern: _files_by_key(start, pattern) for pattern in patterns}
    channels = [found[pattern] for pattern in images]
    label_of = found[labels] if labels is not None else {}
    _check_partners(images, channels, labels, label_of)
    keys = sorted(channels[0], key=lambda key: natural_order("/".join(key)))
    items = [Item(tuple(channel[key] for channel in channels), label_of.get(key)) for key in keys]
    training, test = split_by_label(items, unlabelled, Path(labels or images[0]))
    every = [path for files in found.values() for path in files.values()]
    folder = start if dataset_dir is not None else _common_folder(every)
    return Found(Path(images[0]), folder, training, test, {"name": folder.name})


def _check_patterns(patterns: Sequence[str], channels: int) -> None:
    if not channels:
        raise InputError("--images", found="no pattern", expected="one per channel", remedy="name the images")
    counts = [len(_WILDCARD.findall(_OPEN_ENDING.sub("", pattern))) for pattern in patterns]
    if len(patterns) > 1 and not any(counts):
        raise InputError(
            patterns[0],
            found=f"{len(patterns)} names without a wildcard",
            expected="patterns, such as 'images/*.nii.gz'",
            remedy="put the patterns in quotes, so that the shell leaves them as they are",
        )
    if len(set(counts)) > 1 or len(set(patterns)) < len(patterns):
        raise InputError(
            " and ".join(patterns),
            found="the same pattern twice" if len(set(patterns)) < len(patterns) else "different numbers of wildcards",
            expected="different patterns with the same wildcards, so that what they stand for tells the cases",
            remedy="write out what is the same in all names, or list the files in a CSV",
        )


def _files_by_key(start: Path, pattern: str) -> dict[tuple[str, ...], Path]:
    # Joined after globbing: the name of the folder may itself hold brackets.
    written = os.path.normpath(Path(pattern).expanduser()).replace(os.sep, "/")
    names = [Path(name) for name in glob.glob(written, root_dir=start, recursive=True)]  # noqa: PTH207
    # A pattern that leaves the ending open also finds what is no image: the .raw of a .mhd, a .json beside.
    open_ending = _OPEN_ENDING.search(written) is not None
    paths = [start / name for name in names if not is_hidden(name)]
    paths = [path for path in paths if path.is_dir() or is_image(path) or not open_ending]
    paths = one_per_pair(sorted(paths, key=natural_order))
    strange = [path.name for path in paths if not (path.is_dir() or is_image(path))]
    if strange or not paths:
        raise InputError(
            pattern,
            found=f"files of unknown formats: {join_names(strange)}" if strange else f"no file in {start}",
            expected="images: .nii.gz, .nrrd, .mha, .png, .tif …, or folders of DICOM series",
            remedy="correct the pattern, and put it in quotes",
        )
    expression = _compile_pattern(_OPEN_ENDING.sub("", written))
    by_key: dict[tuple[str, ...], Path] = {}
    for path in paths:
        name = path.with_name(scan_name(path)) if open_ending and is_image_here(path) else path
        match = expression.fullmatch(name.as_posix() if Path(written).is_absolute() else os.path.relpath(name, start))
        key = tuple((part or "").rstrip("/") for part in match.groups()) if match else (path.as_posix(),)
        if key in by_key:
            raise InputError(
                path,
                found=f"the same case as {by_key[key]}: the wildcards of {pattern} stand for {', '.join(key)} in both",
                expected="one file per case",
                remedy="take one of the two away, or make the pattern narrower",
            )
        by_key[key] = path
    return by_key


def _compile_pattern(pattern: str) -> re.Pattern[str]:
    """Translate a pattern into a regular expression, in which each wildcard is a group."""
    translated = {"**/": "(.*/)?", "**": "(.*)", "*": "([^/]*)", "?": "([^/])"}
    expression = "".join(
        (translated.get(part) or f"({_set_expression(part)})") if _WILDCARD.fullmatch(part) else re.escape(part)
        for part in _WILDCARD.split(pattern)
    )
    try:
        return re.compile(expression)
    except re.error as error:
        raise InputError(
            pattern,
            found=f"a pattern with a mistake ({error.msg})",
            expected="*, ?, ** or [a-z]",
            remedy="correct it",
        ) from error


def _set_expression(wildcard: str) -> str:
    excluded = wildcard.startswith("[!")
    # All but a range's hyphen stands for itself.
    signs = re.sub(r"([]\\^&|~[])", r"\\\1", wildcard[2 if excluded else 1 : -1])
    return f"[^{signs}]" if excluded else f"[{signs}]"


def _check_partners(
    images: Sequence[str],
    channels: Sequence[Mapping[tuple[str, ...], Path]],
    labels: str | None,
    label_of: Mapping[tuple[str, ...], Path],
) -> None:
    everywhere = set.intersection(*(set(channel) for channel in channels))
    lonely = [path for files in (*channels, label_of) for key, path in files.items() if key not in everywhere]
    if lonely:
        raise InputError(
            " and ".join([*images, *([labels] if labels else [])]),
            found=f"{len(lonely)} files without a partner: {join_names(path.name for path in lonely)}",
            expected="an image of every channel for each case and each label map, with the same text for the wildcards",
            remedy="rename or take away these files, or correct the patterns",
        )


def _common_folder(paths: Sequence[Path]) -> Path:
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError as error:
        raise InputError(
            paths[0], found="files on several drives", expected="one dataset folder", remedy="copy them into one"
        ) from error
