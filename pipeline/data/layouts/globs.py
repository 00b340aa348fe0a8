"""Cases by patterns, for the images and for the label maps: files are paired by the text that the wildcards match."""

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
from .braces import expand_braces
from .found import Found, Item, Unlabelled, join_names, split_by_label

__all__ = ["find_globs"]

# A wildcard in the ending, as in scan_*.nii*, matches formats, not cases.
_OPEN_ENDING = re.compile(r"\.(?:nii\.?|tif|jp|[mnh])?\*$")
_WILDCARD = re.compile(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\])")


def find_globs(
    images: Sequence[str],
    labels: str | None,
    *,
    dataset_dir: str | Path | None = None,
    unlabelled: Unlabelled = "refuse",
) -> Found:
    """Return the images and label maps that patterns match.

    `a/ilist*.nii.gz` and `a/slist*.nii.gz` pair a/ilist7.nii.gz with a/slist7.nii.gz, because `*` matches 7 in both.
    `*`, `?` and `[…]` match within one folder's name, `**` across folders. With several wildcards, all matched texts
    must agree. An image may be a folder (a DICOM series). Hidden files are ignored.

    `seg/*_{liver,spleen}.nii.gz` names a binary file for each class; an image without the file of a class was not
    annotated for it.

    Args:
        images: one pattern per channel, in the channels' order.
        labels: the pattern of the label maps; None if there are none.
        dataset_dir: folder that relative patterns start from, which is also the dataset folder; by default the
            working folder, and the dataset folder is the one that contains all files found.
        unlabelled: how to treat images without a label map; see `split_by_label`.

    Raises:
        InputError: a pattern matches nothing or two files of one case, has another number of wildcards than the
            others, or matches files without a partner.
    """
    start = require_folder(dataset_dir) if dataset_dir is not None else Path.cwd()
    classes = {} if labels is None else expand_braces(labels)
    patterns = [*images, *(classes.values() or ([labels] if labels is not None else []))]
    _check_patterns(patterns, len(images))
    found = {pattern: _files_by_key(start, pattern) for pattern in patterns}
    channels = [found[pattern] for pattern in images]
    label_files = [found[pattern] for pattern in patterns[len(images) :]]
    _check_partners(patterns, channels, label_files, start)
    keys = sorted(channels[0], key=lambda key: natural_order("/".join(key)))
    items = [
        Item(
            tuple(channel[key] for channel in channels),
            label_files[0].get(key) if label_files and not classes else None,
            masks={name: found[pattern][key] for name, pattern in classes.items() if key in found[pattern]},
        )
        for key in keys
    ]
    training, test, left_out = split_by_label(items, unlabelled, Path(labels or images[0]))
    every = [path for files in found.values() for path in files.values()]
    folder = start if dataset_dir is not None else _common_folder(every)
    return Found(Path(images[0]), folder, training, test, {"name": folder.name}, left_out, classes=tuple(classes))


def _check_patterns(patterns: Sequence[str], channels: int) -> None:
    if not channels:
        raise InputError(
            "--images",
            found="no pattern",
            expected="one pattern per channel",
            remedy="give one, such as --images 'images/*.nii.gz'",
        )
    if not all(map(str.strip, patterns)):
        raise InputError(
            "--images" if not all(map(str.strip, patterns[:channels])) else "--labels",
            found="an empty pattern",
            expected="a pattern of file names, such as 'images/*.nii.gz'",
            remedy="correct it; in a script, check that the variable behind it is set",
        )
    counts = [len(_WILDCARD.findall(_OPEN_ENDING.sub("", pattern))) for pattern in patterns]
    if len(patterns) > 1 and not any(counts):
        raise InputError(
            patterns[0],
            found=f"{len(patterns)} names without a wildcard",
            expected="patterns, such as 'images/*.nii.gz'",
            remedy="put the patterns in quotes, so that the shell does not expand them",
        )
    if len(set(counts)) > 1 or len(set(patterns)) < len(patterns):
        raise InputError(
            " and ".join(patterns),
            found="the same pattern twice" if len(set(patterns)) < len(patterns) else "different numbers of wildcards",
            expected="different patterns with the same number of wildcards: the matched text identifies the case",
            remedy="use a wildcard only where the case names differ, or list the files in a CSV",
        )


def _files_by_key(start: Path, pattern: str) -> dict[tuple[str, ...], Path]:
    # The folder is joined after globbing, because its name may contain brackets.
    written = os.path.normpath(Path(pattern).expanduser()).replace(os.sep, "/")
    names = [Path(name) for name in glob.glob(written, root_dir=start, recursive=True)]  # noqa: PTH207
    # A pattern with an open ending also matches files that are no images: the .raw of a .mhd, a .json.
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
                found=f"the same case as {by_key[key]}: the wildcards of {pattern} match {', '.join(key)} in both",
                expected="one file per case",
                remedy="remove one of the two, or make the pattern narrower",
            )
        by_key[key] = path
    return by_key


def _compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return a pattern as a regular expression in which each wildcard is a group."""
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
            found=f"a malformed pattern ({error.msg})",
            expected="wildcards such as *, ?, ** or [a-z]",
            remedy="correct the pattern",
        ) from error


def _set_expression(wildcard: str) -> str:
    excluded = wildcard.startswith("[!")
    # All characters but a range's hyphen are literal.
    signs = re.sub(r"([]\\^&|~[])", r"\\\1", wildcard[2 if excluded else 1 : -1])
    return f"[^{signs}]" if excluded else f"[{signs}]"


def _check_partners(
    patterns: Sequence[str],
    channels: Sequence[Mapping[tuple[str, ...], Path]],
    label_files: Sequence[Mapping[tuple[str, ...], Path]],
    start: Path,
) -> None:
    """Refuse files for which another pattern, of a channel, matches no file."""
    lonely: list[str] = []
    for key, path in ((key, path) for files in (*channels, *label_files) for key, path in files.items()):
        missing = [pattern for pattern, files in zip(patterns, channels, strict=False) if key not in files]
        if missing:
            name = path.relative_to(start) if path.is_relative_to(start) else path
            lonely.append(f"{name.as_posix()} (no image {' or '.join(_filled(pattern, key) for pattern in missing)})")
    if lonely:
        raise InputError(
            " and ".join(patterns),
            found=f"{len(lonely)} {'file' if len(lonely) == 1 else 'files'} without a partner: {join_names(lonely)}",
            expected="an image of every channel for each case and each label map, with the same text for the wildcards",
            remedy="rename or remove these files, or correct the patterns",
        )


def _filled(pattern: str, key: Sequence[str]) -> str:
    """Return a pattern with its wildcards replaced by the text that they match; the pattern itself if that fails."""
    written = Path(os.path.normpath(pattern)).as_posix()
    ending = _OPEN_ENDING.search(written)
    parts = _WILDCARD.split(written[: ending.start()] if ending else written)
    texts = iter(key)
    if len(key) != sum(_WILDCARD.fullmatch(part) is not None for part in parts):
        return written
    filled = "".join(next(texts) + "/" * (part == "**/") if _WILDCARD.fullmatch(part) else part for part in parts)
    return filled.replace("//", "/") + (ending[0] if ending else "")


def _common_folder(paths: Sequence[Path]) -> Path:
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError as error:
        raise InputError(
            paths[0], found="files on several drives", expected="one dataset folder", remedy="copy them into one"
        ) from error
