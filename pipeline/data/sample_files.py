"""The files of the built-in sample datasets: a complete folder or none, and the same bytes each time."""

from __future__ import annotations

import gzip
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from ..files import name_disk, write_text
from ..leftovers import temporary_path
from .errors import InputError


def check_sample_arguments(folder: Path, *, cases: int, scans: int, seed: int, folds: int = 1) -> None:
    """Check the arguments of a sample dataset, before anything is written.

    Raises:
        InputError: If ``folder`` exists and is not an empty folder, or a number is out of its range.
    """
    problem = None
    numbers = {"folds": (folds, 1), "cases": (cases, folds), "scans": (scans, 0), "seed": (seed, 0)}
    for name, (number, lowest) in numbers.items():
        if number < lowest:
            reason = ", at least one in each fold" if name == "cases" and folds > 1 else ""
            problem = (f"{name} = {number}", f"{name} of {lowest} or more{reason}", f"increase {name}")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        found = "a folder that is not empty" if folder.is_dir() else "a file"
        problem = (found, "a folder that does not exist yet, or an empty one", "name another folder")
    if problem is not None:
        raise InputError(folder, found=problem[0], expected=problem[1], remedy=problem[2])


def write_sample(
    folder: Path,
    name: str,
    write_case: Callable[[Path, str, str, Generator, int], None],
    description: Mapping[str, Any],
    *,
    cases: int,
    scans: int,
    seed: int,
) -> Path:
    """Write all cases and ``dataset.json`` of a sample dataset, and return the path of the latter.

    Args:
        folder: The folder to create. It may exist if it is empty.
        name: Start of the names of labelled cases; further scans are called scan.
        write_case: Called with the folder, ``Tr`` or ``Ts``, the case's name, its own stream of numbers and its index.
        description: The content of ``dataset.json``.
        cases: Number of labelled cases.
        scans: Number of unlabelled scans.
        seed: Seed of everything random. A case depends only on it and on the case's index.
    """
    with new_sample_folder(folder) as root:
        for stream, (split, start, count) in enumerate((("Tr", name, cases), ("Ts", "scan", scans))):
            for index in range(count):
                write_case(root, split, f"{start}_{index:03d}", default_rng([seed, stream, index]), index)
        write_text(root / "dataset.json", json.dumps(description, indent=2) + "\n")
    return folder / "dataset.json"


def list_cases(name: str, *, cases: int, scans: int, folds: int, labelled_scans: bool = False) -> dict[str, Any]:
    """Return the entries of a Decathlon ``dataset.json`` about the cases, which are spread over the folds in turn.

    With `labelled_scans` the test cases have their label maps too, as for ``lightskip evaluate --part test``.
    """
    further = [f"scan_{index:03d}.nii.gz" for index in range(scans)]
    return {
        "numTraining": cases,
        "numTest": scans,
        "training": [
            {"image": f"./imagesTr/{file}", "label": f"./labelsTr/{file}", "fold": index % folds}
            for index, file in enumerate(f"{name}_{index:03d}.nii.gz" for index in range(cases))
        ],
        "test": [
            {"image": f"./imagesTs/{file}", "label": f"./labelsTs/{file}"} if labelled_scans else f"./imagesTs/{file}"
            for file in further
        ],
    }


@contextmanager
def new_sample_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder next to ``folder``, which is renamed to it if the block succeeds.

    Yields:
        The temporary folder, with ``imagesTr``, ``labelsTr``, ``imagesTs`` and ``labelsTs`` in it.

    Raises:
        The block's own errors; the temporary folder is then deleted.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = temporary_path(folder)
    try:
        with name_disk(folder, partial):
            for sub in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
                (partial / sub).mkdir(parents=True)
            yield partial
        if folder.exists():
            folder.rmdir()
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def store(intensity: NDArray[np.float64], dtype: type[np.number[Any]]) -> NDArray[Any]:
    """Return intensities in the number type of the file, rounded if it is an integer type; same shape."""
    return (np.rint(intensity) if np.issubdtype(dtype, np.integer) else intensity).astype(dtype)


def write_nifti(path: Path, voxels: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write a ``.nii.gz`` in mm with ``affine`` (4, 4) as qform and sform; the same voxels give the same bytes."""
    image = nib.Nifti1Image(voxels, affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units(xyz="mm")
    # nibabel would write the time and the file's name into the gzip header, and the bytes would differ in each run.
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=buffer, mtime=0) as packed:
        packed.write(image.to_bytes())
    path.write_bytes(buffer.getvalue())
