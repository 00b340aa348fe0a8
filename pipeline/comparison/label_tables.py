"""The names of labels that label maps carry: in a NIfTI extension, in NRRD segments, or in a file of their folder."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import nibabel as nib

from ..data.errors import InputError
from ..data.images.header import Header
from ..data.json_file import parse_json
from ..data.label_keys import LabelKeys, read_label_keys

__all__ = ["read_folder_keys", "read_folder_table", "read_map_table"]

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
    keys = read_folder_keys(folder)
    return {value: name for name, value in (keys.labels or {}).items() if value != 0} if keys is not None else {}


def read_folder_keys(folder: Path) -> LabelKeys | None:
    """Return the labels, regions and ignored values of a ``dataset.json`` next to label maps, or above ``labelsTr``.

    None if there is none that can be read, or if the folder has a ``labels.txt``, whose names may be others.
    """
    if (folder / _TABLE_FILE).is_file():
        return None
    for place in (folder, folder.parent) if folder.name.startswith("labels") else (folder,):
        file = place / _DATASET_FILE
        try:
            content = parse_json(_read_text(file))
            keys = read_label_keys(content, file)
        except (ValueError, AttributeError, InputError):
            continue
        if keys.labels:
            return keys
    return None


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


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8") if file.is_file() and file.stat().st_size <= _MAX_TABLE else ""
    except (OSError, UnicodeDecodeError):
        return ""
