"""Enhanced DICOM files, whose frames have functional groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    ParametricMapStorage,
    RLELossless,
)

from .case import Made, Odd
from .dicom import AFFINE, CORNER, SHAPE, SPACING, add_pixels, header, refused, some_stored

# Groups of one frame: a macro's sequence, with the values of its item.
Groups = dict[str, dict[str, object]]


def item(groups: Mapping[str, Mapping[str, object]]) -> pydicom.Dataset:
    """Return an item of functional groups."""
    found = pydicom.Dataset()
    for macro, values in groups.items():
        inner = pydicom.Dataset()
        for keyword, value in values.items():
            setattr(inner, keyword, value)
        setattr(found, macro, [inner])
    return found


def place(height: float) -> Groups:
    """Return the groups of a frame at a height (mm)."""
    return {"PlanePositionSequence": {"ImagePositionPatient": [*CORNER[:2], height]}}


def write_enhanced(
    file: Path,
    stored: np.ndarray,
    frames: Sequence[Groups],
    *,
    storage: str = EnhancedMRImageStorage,
    modality: str = "MR",
    bits: int = 12,
    change: Callable[[pydicom.Dataset], object] | None = None,
) -> Path:
    """Write frames, (frame, row, column), each with its groups; the spacing is that of `dicom`."""
    dataset = header(storage, modality)
    add_pixels(dataset, stored, bits=bits)
    dataset.NumberOfFrames = len(stored)
    shared: Groups = {
        "PixelMeasuresSequence": {"PixelSpacing": [SPACING[1], SPACING[0]], "SliceThickness": 3.0},
        "PlaneOrientationSequence": {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
    }
    dataset.SharedFunctionalGroupsSequence = [item(shared)]
    dataset.PerFrameFunctionalGroupsSequence = [item(groups) for groups in frames]
    if change is not None:
        change(dataset)
    dataset.save_as(file, enforce_file_format=True)
    return file


def stack(
    *,
    order: Sequence[int] | None = None,
    slopes: bool = False,
    storage: str = EnhancedMRImageStorage,
    modality: str = "MR",
    counted: bool = False,
    change: Callable[[pydicom.Dataset], object] | None = None,
) -> Callable[[Path], Made]:
    """Return the maker of one volume, whose frames may be in any order, and have slopes of their own."""

    def make(folder: Path) -> Made:
        stored, scale = some_stored(), np.ones(SHAPE[2])
        numbers = list(range(SHAPE[2])) if order is None else list(order)
        frames = []
        for number in numbers:
            groups = place(CORNER[2] + SPACING[2] * number)
            if slopes:
                scale[number] = float(f"{0.01 * (number + 1):.6g}")
                groups["PixelValueTransformationSequence"] = {
                    "RescaleSlope": f"{scale[number]:.6g}",
                    "RescaleIntercept": "-3",
                    "RescaleType": "US",
                }
            if counted:
                groups["FrameContentSequence"] = {"StackID": "1", "TemporalPositionIndex": number + 1}
            frames.append(groups)
        file = write_enhanced(
            folder / "scan.dcm",
            np.ascontiguousarray(stored.transpose(2, 1, 0)[numbers]),
            frames,
            storage=storage,
            modality=modality,
            change=change,
        )
        return Made(file, stored * scale - 3 * slopes, AFFINE)

    return make


def several(groups: Callable[[int, int], Groups], *, apart: float = 0.0) -> Callable[[Path], Path]:
    """Return the writer of two volumes in one file, which differ in `groups(volume, slice)`."""

    def write(folder: Path) -> Path:
        stored = some_stored().transpose(2, 1, 0)[:6]
        frames = [
            place(CORNER[2] + SPACING[2] * number + apart * volume) | groups(volume, number)
            for volume in (0, 1)
            for number in range(6)
        ]
        return write_enhanced(folder / "scan.dcm", np.concatenate([stored, stored]), frames)

    return write


def at(heights: Sequence[float]) -> Callable[[Path], Path]:
    """Return the writer of frames at these heights (mm)."""

    def write(folder: Path) -> Path:
        stored = np.ascontiguousarray(some_stored().transpose(2, 1, 0)[: len(heights)])
        return write_enhanced(folder / "scan.dcm", stored, [place(height) for height in heights])

    return write


def fewer_groups(dataset: pydicom.Dataset) -> None:
    """Drop the description of the last frame."""
    del dataset.PerFrameFunctionalGroupsSequence[-1]


def no_places(dataset: pydicom.Dataset) -> None:
    """Drop the places."""
    for one in dataset.PerFrameFunctionalGroupsSequence:
        del one.PlanePositionSequence


def no_spacing(dataset: pydicom.Dataset) -> None:
    """Drop the spacing."""
    del dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence


def slope_0(dataset: pydicom.Dataset) -> None:
    """Write a slope of 0 in one frame."""
    dataset.PerFrameFunctionalGroupsSequence[2].PixelValueTransformationSequence[0].RescaleSlope = "0"


def fewer_pixels(dataset: pydicom.Dataset) -> None:
    """Drop the pixels of the last two frames."""
    dataset.PixelData = dataset.PixelData[: -2 * 2 * SHAPE[0] * SHAPE[1]]


def diffusion_map(folder: Path) -> Path:
    """Write a parametric map."""
    frames = [
        place(2.0 * number)
        | {"RealWorldValueMappingSequence": {"LUTExplanation": "Apparent Diffusion Coefficient", "LUTLabel": "ADC"}}
        for number in range(4)
    ]
    return write_enhanced(
        folder / "map.dcm", some_stored().transpose(2, 1, 0)[:4], frames, storage=ParametricMapStorage
    )


def damaged(change: Callable[[pydicom.Dataset], object]) -> Callable[[Path], Path]:
    """Return the writer of a changed stack."""
    return lambda folder: stack(change=change)(folder).path


SHUFFLED = np.random.default_rng(3).permutation(SHAPE[2]).tolist()
BACKWARDS = list(range(SHAPE[2]))[::-1]
SEVERAL = {
    "stacks": (lambda volume, _: {"FrameContentSequence": {"StackID": str(volume + 1)}}, 40.0, "2 stacks (1, 2)"),
    "stacks-on-top": (lambda volume, _: {"FrameContentSequence": {"StackID": f"{volume}"}}, 9.0, "2 stacks (0, 1)"),
    "times": (
        lambda volume, _: {"FrameContentSequence": {"TemporalPositionIndex": volume + 1}},
        0.0,
        "2 time points (1, 2)",
    ),
    "echoes": (
        lambda volume, _: {"MREchoSequence": {"EffectiveEchoTime": 4.6 * (volume + 1)}},
        0.0,
        "2 echo times (ms) (4.6, 9.2)",
    ),
    "b-values": (
        lambda volume, _: {"MRDiffusionSequence": {"DiffusionBValue": 1000.0 * volume}},
        0.0,
        "2 b-values (s/mm²) (0, 1000)",
    ),
    "frame-types": (
        lambda volume, _: {"MRImageFrameTypeSequence": {"FrameType": ["DERIVED", "PRIMARY", "DIXON", "WF"[volume]]}},
        0.0,
        "2 frame types",
    ),
}

ODD: list[Odd] = [
    Odd("enhanced-in-order", stack(), "right"),
    Odd("enhanced-shuffled", stack(order=SHUFFLED), "right"),
    Odd("enhanced-backwards", stack(order=BACKWARDS), "right"),
    Odd("enhanced-frames-counted", stack(counted=True), "right"),
    Odd("enhanced-pet-slopes", stack(slopes=True, storage=EnhancedPETImageStorage, modality="PT"), "right"),
    Odd(
        "enhanced-ct-slopes-shuffled-rle",
        stack(
            slopes=True,
            order=SHUFFLED,
            storage=EnhancedCTImageStorage,
            modality="CT",
            change=lambda dataset: dataset.compress(RLELossless, generate_instance_uid=False),
        ),
        "right",
    ),
    *(
        Odd(f"enhanced-several-{name}", refused(several(groups, apart=apart)), "refused", "several-volumes", words)
        for name, (groups, apart, words) in SEVERAL.items()
    ),
    Odd("enhanced-all-twice", refused(several(lambda *_: {})), "refused", "spacing", "6 are in the place of another"),
    Odd("enhanced-gap", refused(at([0, 2, 4, 8, 10, 12])), "refused", "spacing", "missing: 1 between 4 and 8 mm"),
    Odd("enhanced-uneven", refused(at([0, 2, 4.5, 6, 8])), "refused", "spacing", "are 1.5 to 2.5 mm apart"),
    Odd("enhanced-fewer-groups", refused(damaged(fewer_groups)), "refused", "truncated", "describes 13"),
    Odd("enhanced-fewer-pixels", refused(damaged(fewer_pixels)), "refused", "truncated", "truncated"),
    Odd("enhanced-no-spacing", refused(damaged(no_spacing)), "refused", "spacing", "how far apart their pixels are"),
    Odd(
        "enhanced-slope-0",
        lambda folder: Made(stack(slopes=True, change=slope_0)(folder).path),
        "refused",
        "scaling",
        "a rescale slope of 0",
    ),
    Odd("enhanced-no-places", refused(damaged(no_places)), "refused", "dimensions", "do not say where they are"),
    Odd(
        "enhanced-parametric-map",
        refused(diffusion_map),
        "refused",
        "other-content",
        "DICOM, but a parametric map;",
    ),
]
