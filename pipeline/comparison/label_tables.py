"""The names of labels that label maps carry: in a NIfTI extension, in NRRD segments, or in a file of their folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import nibabel as nib

from ..data.images.header import Header

__all__ = ["read_folder_table", "read_map_table"]

_CARET = 30  # NIfTI's code for Connectome Workbench's XML, which `labelmaps.nifti` writes
_MAX_TABLE = 1 << 20  # bytes
_SEGMENT = re.compile(r"^Segment(\d+)_(Name|LabelValue):=(.*?)\r?$", re.MULTILINE)
# Value, colour, visibility, and the name in quotation marks.
_ITK_SNAP = re.compile(r'^\s*(\d+)(?:\s+[\d.]+){6}\s+"([^"]*)"\s*$', re.MULTILINE)
_TABLE_FILE = "labels.txt"
_DATASET_FILE = "dataset.json"


def read_map_table(header: Header) -> dict[int, str]:
    """Return the name of each foreground value that a label map's own header has; empty if it has none."""
    if header.format == "nifti":
        return _read_nifti_table(header.path)
    # NRRD: the header's lines.
    return _read_segments(header.raw.decode("utf-8", "replace")) if header.raw.startswith(b"NRRD") else {}


def read_folder_table(folder: Path) -> dict[int, str]:
    """Return the name of each foreground value that files next to label maps have; empty if there are none.

    These are ``labels.txt`` (ITK-SNAP's, which `lightskip predict` writes) and nnU-Net's ``dataset.json``, in the
    folder or, for label maps in nnU-Net's ``labelsTr``, above it.
    """
    text = _read_text(folder / _TABLE_FILE)
    table = {int(value): name for value, name in _ITK_SNAP.findall(text) if int(value) != 0}
    if table:
        return table
    for place in (folder, folder.parent) if folder.name.startswith("labels") else (folder,):
        table = _read_dataset_labels(_read_text(place / _DATASET_FILE))
        if table:
            return table
    return {}


def _read_nifti_table(path: str) -> dict[int, str]:
    try:
        extensions = getattr(nib.load(path).header, "extensions", [])
        contents = [one.content for one in extensions if one.get_code() == _CARET]
    except Exception:  # the voxels are read by `images.door`, which reports what is wrong with a file
        return {}
    for content in contents:
        table = _parse_caret(content) if len(content) <= _MAX_TABLE else {}
        if table:
            return table
    return {}


def _parse_caret(xml: bytes) -> dict[int, str]:
    # An entity could grow without limit; label tables need none.
    if b"<!ENTITY" in xml:
        return {}
    try:
        rows = ElementTree.fromstring(xml.strip(b"\0 \n")).iter("Label")
        found = {int(row.get("Key", "0")): (row.text or "").strip() for row in rows}
    except (ElementTree.ParseError, ValueError):
        return {}
    return {value: name for value, name in found.items() if value != 0 and name}


def _read_segments(header: str) -> dict[int, str]:
    found: dict[str, dict[str, str]] = {}
    for number, key, text in _SEGMENT.findall(header):
        found.setdefault(number, {})[key] = text.strip()
    return {
        int(one["LabelValue"]): one["Name"]
        for one in found.values()
        if one.get("Name") and one.get("LabelValue", "").isdigit() and int(one["LabelValue"]) != 0
    }


def _read_dataset_labels(text: str) -> dict[int, str]:
    """Return the labels of nnU-Net's dataset.json, ``{"liver": 1}``, or of MSD's, ``{"1": "liver"}``."""
    try:
        labels = json.loads(text).get("labels")
    except (ValueError, AttributeError):
        return {}
    if not isinstance(labels, Mapping):
        return {}
    found: dict[int, str] = {}
    for key, value in labels.items():
        if type(value) is int:
            found[value] = str(key)
        elif isinstance(value, str) and str(key).isdigit():
            found[int(key)] = value
        else:
            # Regions of several values are no labels of single voxels.
            return {}
    return {value: name for value, name in found.items() if value != 0}


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8") if file.stat().st_size <= _MAX_TABLE else ""
    except (OSError, UnicodeDecodeError):
        return ""
