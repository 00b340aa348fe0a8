"""Words in the names of files and folders: which are label maps, which are images, and of which part of a dataset."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["channel_word", "is_label_path", "part_of", "split_roles"]

_LABEL = re.compile(
    r"d?segs?|segm|segmentations?|lbl|labels?|labelmaps?|masks?|gt|ground|truth|groundtruth|annotations?|rois?|contours?|rtstruct|rtss"
)
_IMAGE = re.compile(r"images?|imgs?|imaging|vol(ume)?s?|scans?")
_CHANNEL = re.compile(
    r"t1(w|n|c|ce|gd|post|km)?|t2(w|f|s)?|flair|pdw?|adc|dwi|swi|bold|ct|cta|cect|ctres|cbct|pet|suv|mri?|mra|us|em"
)
# Names of folders, alone or next to "images" or "labels".
_PARTS = {
    **dict.fromkeys(("train", "training", "tr", "trainingdata"), "training"),
    **dict.fromkeys(("val", "valid", "validation", "va"), "validation"),
    **dict.fromkeys(("test", "testing", "ts", "testset"), "test"),
}
_SEPARATORS = re.compile(r"([_\-. ]+)")
# imagesTr, labels_tr, img0001: a known word, then a part or a number.
_COMPOUND = re.compile(r"([A-Za-z]+?)(Tr|Ts|Va|Val|[0-9]+)")


def split_roles(parts: Sequence[str], *, channels: bool) -> tuple[str, str]:
    """Return what identifies the case in a path, and the words that say what the file is.

    `labelsTr/case_7_seg` is case `tr/case_7`, with the words `labels seg`.

    Args:
        parts: the folders inside the dataset, then the file's name without its ending.
        channels: whether names of channels, such as t1 and flair, are words of this kind too.
    """
    kept, words = [], []
    for part in parts:
        left = ""
        for token in _SEPARATORS.split(part):
            word, rest = _split_compound(token)
            if _is_kind(word) or (channels and _CHANNEL.fullmatch(token.lower())):
                words.append(word)
                left += rest
            else:
                left += token
        left = _SEPARATORS.sub("_", left).strip("_").lower()
        kept += [left] if left else []
    return "/".join(kept), " ".join(words)


def is_label_path(text: str) -> bool:
    """Return whether a path, or the words of one, names a label map."""
    return any(_LABEL.fullmatch(_split_compound(token)[0].lower()) for token in re.split(r"[_\-. /*]+", text))


def part_of(folders: Sequence[str]) -> str:
    """Return the part of a dataset that folders name: "training", "validation", "test", or "" if none does."""
    for folder in folders:
        words = [word for token in _SEPARATORS.split(folder)[::2] for word in _split_compound(token) if word]
        named = [_PARTS[word.lower()] for word in words if word.lower() in _PARTS]
        if named and all(word.lower() in _PARTS or _is_kind(word) for word in words):
            return named[0]
    return ""


def channel_word(role: str) -> str:
    """Return the word of a file's role that names its channel: "flair" of `*_flair`; "" if there is none."""
    words = [word for word in re.split(r"[_\-. /*]+", role) if word and not _IMAGE.fullmatch(word.lower())]
    return words[-1] if words else ""


def _is_kind(word: str) -> bool:
    return _LABEL.fullmatch(word.lower()) is not None or _IMAGE.fullmatch(word.lower()) is not None


def _split_compound(token: str) -> tuple[str, str]:
    match = _COMPOUND.fullmatch(token)
    if match and _is_kind(match[1]):
        return match[1], match[2]
    return token, ""
