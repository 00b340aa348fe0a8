"""The series among DICOM files: what each of them is, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .dicom_files import is_secondary_capture, is_xray_loop, other_content
from .dicom_slices import Slice

__all__ = ["Series", "choose_series", "content_of", "list_series", "list_words"]

_NUMBER = 0  # in `Slice.tags`
_MAX_LISTED = 12
_COLOURS = ("RGB", "PALETTE COLOR", "YBR", "ARGB", "CMYK", "HSV")


@dataclass(frozen=True)
class Series:
    """One series of a folder.

    Attributes:
        uid: its unique identifier; "" if files have none.
        number: its number; "" without one.
        description: in the scanner's words.
        modality: such as "MR".
        images: number of slices.
        content: what it is, if it is no scan of anatomy; None for a scan.
    """

    uid: str
    number: str
    description: str
    modality: str
    images: int
    content: str | None

    def words(self, *, described: bool, by_uid: bool) -> str:
        """Return the series in words: what to name it by, its modality, and number of images.

        Args:
            described: whether to add its description.
            by_uid: whether to name it by its unique identifier, not by its number.
        """
        name = (self.uid if by_uid else self.number) or self.number or self.uid or "without a number"
        shown = f' "{self.description}"' if described and self.description else ""
        count = f"{self.images} image{'s' * (self.images != 1)}"
        facts = [self.modality or "no modality", count if self.content is None else self.content]
        return f"{name}{shown} ({', '.join(facts)})"


def content_of(one: Slice) -> str | None:
    """Return what a DICOM object is, in words, if it is no scan of anatomy; None for a scan."""
    words = other_content(one.storage, one.modality)
    if words is not None:
        return words
    pixels = one.pixels
    if pixels.samples > 1 or pixels.photometric.startswith(_COLOURS):
        return f"colour pictures ({pixels.photometric})"
    if is_secondary_capture(one.storage) and not one.has_place:
        return "a secondary capture (a picture of a screen or of a film)"
    if is_xray_loop(one.storage) and one.frames > 1:
        return "an X-ray loop (projections over time)"
    return None


def list_series(slices: Sequence[Slice]) -> list[Series]:
    """Return the series of slices, by number."""
    groups: dict[str, list[Slice]] = {}
    for one in slices:
        groups.setdefault(one.series, []).append(one)
    found = []
    for uid, members in groups.items():
        contents = [content_of(one) for one in members]
        # A scan stays one with a report among its files.
        scans = [one for one, content in zip(members, contents, strict=True) if content is None and one.is_image]
        first = (scans or members)[0]
        content = None if scans else next((words for words in contents if words), "no image")
        number, described = first.tags[_NUMBER], first.description
        found.append(Series(uid, number, described, first.modality, len(scans or members), content))
    return sorted(found, key=lambda one: (one.content is not None, not one.number.isdecimal(), one.number.zfill(9)))


def choose_series(slices: Sequence[Slice], word: str) -> list[Slice]:
    """Return the slices of the series that a word names; none if it names no series, or several.

    Args:
        slices: of all series.
        word: a unique identifier, a number, or a description, whatever its case.
    """
    for named in (_has_uid, _has_number, _has_description):
        found = [one for one in slices if named(one, word)]
        if found:
            return found if len({one.series for one in found}) == 1 else []
    return []


def _has_uid(one: Slice, word: str) -> bool:
    return one.series == word


def _has_number(one: Slice, word: str) -> bool:
    number = one.tags[_NUMBER]
    return number.isdecimal() and word.isdecimal() and int(number) == int(word)


def _has_description(one: Slice, word: str) -> bool:
    return one.description.casefold() == word.casefold()


def list_words(series: Sequence[Series], *, described: bool = False) -> str:
    """Return the series in words, scans first.

    Args:
        series: those to list.
        described: whether to add their descriptions, a text of any content. Messages that are also written to files,
            such as a report, leave them out.
    """
    numbers = [one.number for one in series]
    shown = "; ".join(
        one.words(described=described, by_uid=numbers.count(one.number) > 1) for one in series[:_MAX_LISTED]
    )
    more = len(series) - _MAX_LISTED
    return f"{shown}; and {more} more" if more > 0 else shown
