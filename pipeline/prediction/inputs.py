"""The scans to segment, each with a name of its own for its outputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.case_names import case_stems, full_names, tell_apart
from ..data.errors import InputError
from ..data.folder_scans import FoundScan
from ..data.input_scans import find_named_scans
from ..data.named_series import choose_named_series

__all__ = ["ScanInput", "read_inputs"]


@dataclass(frozen=True)
class ScanInput:
    """One scan to segment.

    Args:
        name: name of its outputs; no other scan of the list has it.
        files: absolute paths: one file with all channels, one per channel, or the folder of a DICOM series.
        problem: why it cannot be segmented, if the names of its files show that; otherwise None.
        notes: what a user should know, such as files of its folder that were left out.
    """

    name: str
    files: tuple[str, ...]
    problem: InputError | None = None
    notes: tuple[str, ...] = ()


def read_inputs(
    inputs: Sequence[str | Path], *, channels: int, series: str = "", outside: bool = False
) -> list[ScanInput]:
    """Return the scans that the words of a command line name, each with a distinct name.

    A word is a file (a `.hdr/.img` pair by either half), a folder (of scans, see `find_folder_scans`, or of one DICOM
    series), several files of one scan joined by commas, or a datalist (`.json`). A datalist's relative paths start in
    the folder that it names, or its own. With several channels, files of one folder named NAME_0000, NAME_0001, … are
    one scan.

    Args:
        inputs: the words. A scan that two words name is returned once.
        series: the number, description or unique identifier of a DICOM series; only folders with it are scans then.
        channels: channels of a scan.
        outside: whether a datalist may name files outside its folder.

    Returns:
        The scans in the order of the words; a folder's are sorted by name (2 before 10). If scans from different
        folders have the same name, their folders' names are put in front, as many as needed: `day1_scan`, `day2_scan`.
        A folder's first scan has notes on files that were left out, and the first of all has one on a word that is
        there twice.

    Raises:
        InputError: there is no word, the only word is a folder without scans, a datalist is broken, or two scans of
            one folder have the same name. A problem of one scan, or of one folder of several, is in its `problem`
            instead.
    """
    if not inputs or not all(str(word).strip() for word in inputs):
        raise InputError(
            "INPUT",
            found="an empty word" if inputs else "no scan to segment",
            expected="at least one scan: a file, a folder, a DICOM series or a datalist",
            remedy="name scans after the bundle: lightskip predict BUNDLE INPUT...",
        )
    found = find_named_scans(inputs, channels=channels, outside=outside)
    if series:
        found = choose_named_series(found, series)
    stems = case_stems([scan.files for scan in found])
    scans = [
        ScanInput(_name_of_problem(scan) or stem, scan.files, scan.problem, scan.notes)
        for scan, stem in zip(found, stems, strict=True)
    ]
    return _note_repeated_words(_name_scans(_merge_repeats(scans)), inputs)


def _name_of_problem(scan: FoundScan) -> str:
    """Return the file name in a scan's problem; an empty text if the problem names no file."""
    if scan.problem is not None and Path(scan.problem.where).is_absolute():
        return Path(scan.problem.where).name
    return ""


def _merge_repeats(scans: Iterable[ScanInput]) -> list[ScanInput]:
    """Merge scans that were named twice. Links of different names to one file are different scans."""
    unique: dict[tuple[str, ...], ScanInput] = {}
    for scan in scans:
        key = (scan.name, *map(os.path.realpath, scan.files))
        first = unique.setdefault(key, scan)
        unique[key] = replace(first, notes=tuple(dict.fromkeys((*first.notes, *scan.notes))))
    return list(unique.values())


def _note_repeated_words(scans: Sequence[ScanInput], words: Sequence[str | Path]) -> list[ScanInput]:
    """Return the scans; the first one has a note if a word is there twice, which is probably a mistake."""
    paths = [os.path.abspath(os.path.expanduser(word)) for word in words]  # noqa: PTH100, PTH111
    repeated = [str(word) for number, word in enumerate(words) if paths[number] in paths[:number]]
    if not repeated or not scans:
        return list(scans)
    more = f", and {len(repeated) - 1} more words," * (len(repeated) > 1)
    note = f"{repeated[0]}{more} named more than once: each scan is segmented once"
    return [replace(scans[0], notes=(*scans[0].notes, note)), *scans[1:]]


def _name_scans(scans: Sequence[ScanInput]) -> list[ScanInput]:
    """Return the scans with their final names.

    Raises:
        InputError: two scans have the same name, and their folders do too.
    """
    stems, items = [scan.name for scan in scans], [scan.files for scan in scans]
    first_of: dict[str, str] = {}
    for scan, name in zip(scans, full_names(stems, items), strict=True):
        file = scan.files[0]
        if name in first_of:
            raise InputError(
                file,
                found=f"the same name as {first_of[name]}",
                expected="scans with different names, because label maps are named after their scans",
                remedy="rename one of the two, or predict them into different folders",
            )
        first_of[name] = file
    return [replace(scan, name=name) for scan, name in zip(scans, tell_apart(stems, items), strict=True)]
