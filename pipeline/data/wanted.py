"""The expected channels, dimensions and labels of every case: from the datalist, or from most of the first images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .dataset import Dataset, locate
from .errors import InputError
from .images.door import read_volume
from .images.endings import is_nifti_like, is_picture

__all__ = ["Wanted", "declared_values", "find_wanted"]

MAX_SAMPLED_IMAGES = 5


@dataclass(frozen=True)
class Wanted:
    """The expected properties of every case of a dataset.

    Args:
        channels: channels of an image: in as many files, or all in one.
        spatial_dims: 2 or 3.
        declared: label values with the words to show for each; None if the datalist declares none.
        background: value of the background in the label maps.
        ignored: values in the label maps that mark voxels without annotation.
    """

    channels: int
    spatial_dims: int
    declared: Mapping[int, str] | None
    background: int = 0
    ignored: tuple[int, ...] = ()


def declared_values(labels: Mapping[str, int] | Sequence[int]) -> dict[int, str]:
    """Return the words to show for each declared value, such as `{1: "1 (anterior)"}`, sorted.

    0 is included, unless another value is named "background".
    """
    if isinstance(labels, Mapping):
        shown = {int(value): f"{value} ({name})" for name, value in labels.items()}
    else:
        shown = {int(value): str(value) for value in labels}
    background = {} if isinstance(labels, Mapping) and "background" in labels else {0: "0"}
    return dict(sorted((background | shown).items()))


def find_wanted(dataset: Dataset) -> Wanted:
    """Return the expected properties of a dataset's cases.

    They come from the datalist. What it does not say is taken from most of the first readable images.

    Raises:
        InputError: the datalist names another number of channels than the cases have files.
    """
    files, named = dataset.files_per_case, len(dataset.channels or [])
    if files > 1 and named not in (0, files):
        raise InputError(
            dataset.file,
            found=f"{named} channels named, and {files} image files per case",
            expected="one file per channel, or one file with all channels",
            remedy='correct "modality" or the lists of images',
        )
    channels, dims = files if files > 1 else named, _declared_dims(dataset)
    if not (channels and dims):
        seen = _first_shapes(dataset)
        channels = channels or _most_common(_channels_of(path, shape, dims) for path, shape in seen)
        in_file = channels > 1 and files == 1
        dims = dims or _most_common(
            min(3, len(shape) if is_nifti_like(path) else len(shape) - in_file) for path, shape in seen
        )
    labels = dataset.labels
    return Wanted(
        channels=channels,
        spatial_dims=dims,
        declared=None if labels is None else declared_values(labels),
        background=0 if labels is None else labels["background"],
        ignored=dataset.ignored,
    )


def _most_common(numbers: Iterable[int]) -> int:
    return Counter(numbers).most_common(1)[0][0]


def _declared_dims(dataset: Dataset) -> int:
    named = dataset.described.get("tensorImageSize")
    return {"2D": 2, "3D": 3, "4D": 3}.get(str(named), 0)


def _first_shapes(dataset: Dataset) -> list[tuple[str, tuple[int, ...]]]:
    shapes: list[tuple[str, tuple[int, ...]]] = []
    for case in dataset.cases:
        try:
            file = str(locate(dataset.folder, case.images[0]))
            shapes.append((file, read_volume(file).voxels.shape))
        except (InputError, MemoryError):
            continue
        if len(shapes) == MAX_SAMPLED_IMAGES:
            break
    # If nothing can be read, every case has a finding anyway.
    return shapes or [(dataset.cases[0].images[0], (1, 1, 1))]


def _channels_of(path: str, shape: tuple[int, ...], dims: int) -> int:
    # A picture in colour has three axes, two of them in space.
    axes = 3 if is_nifti_like(path) else dims or (2 if is_picture(path) else min(len(shape), 3))
    return int(shape[axes]) if len(shape) == axes + 1 else 1
