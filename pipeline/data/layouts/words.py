"""Words in the names of files and folders: which are label maps, which are images, and of which part of a dataset."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["channel_word", "is_label_path", "part_of", "split_roles"]

_LABEL_WORDS = frozenset(
    "seg segs segm segmentation segmentations label labels lbl labelmap labelmaps mask masks gt groundtruth truth "
    "annotation annotations roi rois dseg contour contours".split()
)
_IMAGE_WORDS = frozenset("image images img imgs imaging volume volumes vol vols scan scans".split())
_CHANNEL_WORDS = frozenset(
    "t1 t1w t1n t1c t1ce t1gd t1post t1km t2 t2w t2f t2s flair pd pdw adc dwi swi bold ct cta cect ctres pet suv mr mri "
    "mra us em cbct".split()
)
# Whole names of folders, and what follows "images" or "labels" in one.
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
            if word.lower() in _LABEL_WORDS | _IMAGE_WORDS or (channels and token.lower() in _CHANNEL_WORDS):
                words.append(word if word.lower() not in _CHANNEL_WORDS else token)
                left += rest
            else:
                left += token
        left = _SEPARATORS.sub("_", left).strip("_").lower()
        kept += [left] if left else []
    return "/".join(kept), " ".join(words)


def is_label_path(text: str) -> bool:
    """Return whether a path, or the words of one, names a label map."""
    return any(_split_compound(token)[0].lower() in _LABEL_WORDS for token in re.split(r"[_\-. /*]+", text))


def part_of(folders: Sequence[str]) -> str:
    """Return the part of a dataset that folders name: "training", "validation", "test", or "" if none does."""
    for folder in folders:
        match = _COMPOUND.fullmatch(folder.replace("_", ""))
        named = match[2] if match and match[1].lower() in _LABEL_WORDS | _IMAGE_WORDS else folder
        if named.lower() in _PARTS:
            return _PARTS[named.lower()]
    return ""


def channel_word(role: str) -> str:
    """Return the word of a file's role that names its channel: "flair" of `*_flair`; "" if there is none."""
    words = [word for word in re.split(r"[_\-. /*]+", role) if word and word.lower() not in _IMAGE_WORDS]
    return words[-1] if words else ""


def _split_compound(token: str) -> tuple[str, str]:
    match = _COMPOUND.fullmatch(token)
    if match and match[1].lower() in _LABEL_WORDS | _IMAGE_WORDS:
        return match[1], match[2]
    return token, ""
