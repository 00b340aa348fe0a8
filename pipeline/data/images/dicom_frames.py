"""The functional groups of an enhanced DICOM file: the values of each of its frames (PS3.3, section C.7.6.16)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["MARKS", "FrameValues", "frame_values"]

FrameValues = Mapping[str, Any]

_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_NUMBERS = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SpacingBetweenSlices", "SliceThickness"),
    *("RescaleSlope", "RescaleIntercept"),
)
# What tells apart volumes that share one file or one series, by keyword, as words in the plural. The keywords of
# functional groups come first, then those of files with one slice each.
MARKS: Mapping[str, str] = {
    "StackID": "stacks",
    "TemporalPositionIndex": "time points",
    "TemporalPositionTimeOffset": "times (s)",
    "EffectiveEchoTime": "echo times (ms)",
    "InversionTimes": "inversion times (ms)",
    "DiffusionBValue": "b-values (s/mm²)",
    "NominalPercentageOfCardiacPhase": "cardiac phases (%)",
    "NominalCardiacTriggerDelayTime": "trigger delays (ms)",
    "NominalPercentageOfRespiratoryPhase": "phases of breathing (%)",
    "FrameType": "frame types",
    "ComplexImageComponent": "components of complex images",
    "EchoTime": "echo times (ms)",
    "TemporalPositionIdentifier": "time points",
    "TriggerTime": "trigger times (ms)",
    "FrameReferenceTime": "times (ms)",
    "ImageType": "image types",
    "AcquisitionNumber": "acquisitions",
    "Units": "units of values",
}


def frame_values(dataset: Any) -> list[FrameValues]:
    """Return the values of each frame of an enhanced file, by keyword; an empty list for other files.

    A frame's own value is used, or else the one that all frames share. Numbers are lists of float; the keywords of
    `MARKS` are texts.
    """
    if _PER_FRAME not in dataset:
        return []
    shared: dict[str, Any] = {}
    for group in dataset[_SHARED].value if _SHARED in dataset else ():
        shared |= _values(group)
    return [shared | _values(group) for group in dataset[_PER_FRAME].value]


def _values(groups: Any, depth: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for element in groups:
        if element.VR == "SQ":
            # A macro has one item; that of diffusion and of cardiac phases has further macros inside.
            if depth < 2 and len(element.value):
                found = _values(element.value[0], depth + 1) | found
        elif element.keyword in _NUMBERS and element.value not in (None, ""):
            found[element.keyword] = [float(one) for one in np.ravel([element.value])]
        elif element.keyword in MARKS and element.value not in (None, ""):
            value = element.value
            several = not isinstance(value, str | bytes) and hasattr(value, "__iter__")
            found[element.keyword] = "\\".join(map(_text, value)) if several else _text(value)
    return found


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
