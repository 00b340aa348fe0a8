"""MONAI's loading of scans with LightSkip's reading of images: every format that it knows, decoded once."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from monai.config import PathLike
from monai.data import ITKReader, MetaTensor, NibabelReader, NumpyReader, PILReader
from monai.data.image_reader import ImageReader
from monai.data.utils import correct_nifti_header_if_necessary
from monai.transforms import LoadImaged
from monai.utils import ensure_tuple

from .images.c_order import to_c_order
from .images.dicom_files import split_series
from .images.door import open_image, read_voxels
from .images.endings import is_image
from .images.header import Volume

__all__ = ["LoadScand", "ScanReader", "load_scan", "loads_float"]

_MAX_AXIS = 32767  # the largest size in NIfTI-1, whose sizes have 16 bits


class ScanReader(ImageReader):
    """A reader for MONAI's LoadImage that decodes each file once, with `images.door`.

    Array, affine and metadata are those of MONAI's own reader for the format, which gets the image that was read.
    Formats that MONAI does not read (MGZ, Zarr stores), and scans of several formats, become NIfTI in memory.

    Args:
        volumes: of the next scan's files, if they were read already; otherwise `read` reads them.
        as_float: whether MONAI will convert the array to float32, so that a single file can be read so at once.
    """

    def __init__(self, volumes: Sequence[Volume] | None = None, *, as_float: bool = False) -> None:
        self._volumes = volumes
        self._as_float = as_float

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Return whether all files are images of known formats, or folders."""
        return all(is_image(str(name)) or Path(split_series(name)[0]).is_dir() for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **_: Any) -> list[Volume]:
        """Return the volumes of files with one channel each, or of one file.

        Only unreadable files are refused; other problems are found by the dataset check.

        Raises:
            InputError: a file cannot be read to its end.
        """
        if self._volumes is not None:
            return list(self._volumes)
        names = ensure_tuple(data)
        return [_read(str(name), as_float=self._as_float and len(names) == 1) for name in names]

    def get_data(self, img: Sequence[Volume]) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the array, channels first if there are several volumes, and MONAI's metadata of the first."""
        readers = {_monai_reader(volume.native) for volume in img}
        reader = readers.pop()
        if readers or reader is NibabelReader:
            array, meta = _MemoryReader(img).get_data()
        else:
            array, meta = reader().get_data([volume.native for volume in img])
        return to_c_order(array), meta


class LoadScand(LoadImaged):
    """MONAI's LoadImaged with LightSkip's reading of images; arguments and result are the same.

    A reader that is named in the arguments is used instead. `ScanReader` is registered rather than passed as such a
    reader, because MONAI tries each of those on every file, and after a failure all others, including NumPy's
    unpickling.
    """

    # Without MONAI's options for readers, of which it ignores unknown ones: a mistyped override must be found.
    __signature__ = inspect.Signature(
        [
            parameter
            for parameter in inspect.signature(LoadImaged).parameters.values()
            if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        ]
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self._loader.auto_select:
            self.register(ScanReader(as_float=loads_float(self)))
            # NumPy's files are no scans, and some releases of MONAI unpickle them.
            self._loader.readers = [each for each in self._loader.readers if not isinstance(each, NumpyReader)]


def load_scan(loader: LoadImaged, files: Sequence[str], volumes: Sequence[Volume] | None = None) -> MetaTensor:
    """Return a scan as a bundle's loading transform returns it, with LightSkip's reading of images.

    Args:
        loader: the transform; if its config names a reader, that one reads the files.
        files: one file, or one per channel.
        volumes: of these files, if they were read already; they are not decoded again.
    """
    reader = ScanReader(volumes) if loader._loader.auto_select else None
    case = {"image": files[0] if len(files) == 1 else list(files)}
    image: MetaTensor = loader(case, reader=reader)["image"]
    return image


def loads_float(loader: LoadImaged) -> bool:
    """Return whether a loading transform converts voxels to float32, MONAI's default."""
    return bool(loader._loader.dtype == np.float32)


class _MemoryReader(NibabelReader):
    """MONAI's NibabelReader for images whose voxels are in memory."""

    def __init__(self, volumes: Sequence[Volume]) -> None:
        super().__init__()
        self._images = [_nibabel_image(volume) for volume in volumes]
        self._voxels = {id(image): volume.voxels for image, volume in zip(self._images, volumes, strict=True)}
        self.filenames = [volume.header.path for volume in volumes]

    def get_data(self, img: Any = ()) -> tuple[np.ndarray, dict[str, Any]]:
        """Return arrays and metadata of this reader's volumes."""
        array, meta = super().get_data(img or self._images)
        return array, meta

    def _get_array_data(self, img: Any, filename: PathLike) -> np.ndarray:  # noqa: ARG002 - MONAI's signature
        return self._voxels[id(img)]


def _read(path: str, *, as_float: bool) -> Volume:
    with open_image(path) as image:
        voxels = read_voxels(image, as_float=as_float)
        return Volume(image.header, voxels, image.native)


def _monai_reader(native: Any) -> Any:
    """Return MONAI's reader for an image of the library that read it."""
    name = type(native).__module__.partition(".")[0]
    return {"PIL": PILReader, "itk": ITKReader}.get(name, NibabelReader)


def _nibabel_image(volume: Volume) -> Any:
    """Return nibabel's NIfTI image of a volume, with its header corrected by MONAI."""
    native = volume.native
    if not isinstance(native, nibabel.Nifti1Pair):
        kind = nibabel.Nifti2Image if max(volume.voxels.shape) > _MAX_AXIS else nibabel.Nifti1Image
        native = kind(volume.voxels, volume.affine, dtype=volume.voxels.dtype)
        native.header.set_xyzt_units("mm")
    return correct_nifti_header_if_necessary(native)
