"""Write the output files of one scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from ..files import whole_file
from ..labelmaps.save import save_label_map, save_volume
from ..labelmaps.save_regions import save_region, save_regions
from ..labelmaps.statistics import measure_labels, measure_regions, write_statistics
from ..report.preview import draw_preview
from .outputs import Outputs
from .prediction import Prediction

__all__ = ["write_outputs"]


def write_outputs(
    prediction: Prediction,
    outputs: Outputs,
    *,
    name: str,
    read: Callable[[], NDArray[Any]],
) -> None:
    """Write the files of one scan, each whole. If one fails, all new files of the scan are deleted.

    Args:
        prediction: prediction of the scan.
        outputs: the files to write.
        name: name of the scan, for people.
        read: returns the scan's voxels, (C, X, Y[, Z]), in their own units and grid; called only if needed.

    Raises:
        InputError: the format cannot hold this label map.
        OSError: a file cannot be written.
    """
    existing = {file for file in outputs.files if file.exists()}
    try:
        _write(prediction, outputs, name=name, read=read)
    except BaseException:
        for file in outputs.files:
            if file not in existing:
                file.unlink(missing_ok=True)
        raise


def _write(prediction: Prediction, outputs: Outputs, *, name: str, read: Callable[[], NDArray[Any]]) -> None:
    affine, scan, texts = prediction.affine, prediction.header, outputs.keep_header_text
    if outputs.probabilities is not None and prediction.probabilities is not None:
        # For a picture, (X, Y, K): the classes must not become the third axis in space.
        flat = prediction.labels.ndim == 2
        volume = prediction.probabilities[:, :, None] if flat else prediction.probabilities
        save_volume(volume, outputs.probabilities, scan=scan, affine=affine, keep_header_text=texts)
    if outputs.entropy is not None and prediction.entropy is not None:
        save_volume(prediction.entropy, outputs.entropy, scan=scan, affine=affine, keep_header_text=texts)
    if outputs.statistics is not None or outputs.preview is not None:
        _write_measures(prediction, outputs, name, read())
    _write_regions(prediction, outputs)
    save_label_map(prediction.labels, outputs.label_map, table=prediction.table, **_place(prediction, outputs))


def _place(prediction: Prediction, outputs: Outputs) -> dict[str, Any]:
    """Return the scan's grid, and what of its texts is copied."""
    return {
        "scan": prediction.header,
        "affine": prediction.affine,
        "keep_header_text": outputs.keep_header_text,
        "anonymous": outputs.anonymous,
    }


def _write_regions(prediction: Prediction, outputs: Outputs) -> None:
    if prediction.patterns is None or not outputs.regions:
        return
    patterns, rows = prediction.patterns, prediction.region_table
    grid = _place(prediction, outputs)
    if outputs.together:
        save_regions(patterns, outputs.regions[0], table=rows, **grid)
        return
    for place, (row, file) in enumerate(zip(rows, outputs.regions, strict=True)):
        save_region(patterns, place, file, row=row, **grid)


def _write_measures(prediction: Prediction, outputs: Outputs, name: str, image: NDArray[Any]) -> None:
    """Write statistics and preview, which need the scan's voxels (C, X, Y[, Z])."""
    labels, affine, table = prediction.labels, prediction.affine, prediction.table
    if outputs.statistics is not None:
        unit = "mm" if prediction.header is None else prediction.header.unit
        rows = measure_labels(labels, image, affine, table, unit=unit)
        if prediction.patterns is not None:
            rows += measure_regions(prediction.patterns, image, affine, prediction.region_table, unit=unit)
        write_statistics(rows, outputs.statistics, scan=name)
    if outputs.preview is not None:
        picture = draw_preview(image[0], labels, affine, table, title=name)
        with whole_file(outputs.preview) as temporary:
            temporary.write_bytes(picture)
