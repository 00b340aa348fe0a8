"""What a scan's header tells that a user should know, and that does not stop its prediction."""

from __future__ import annotations

from pathlib import Path

import nibabel

from ..data.check_series import same_locale
from ..data.volumes import is_nifti

__all__ = ["header_notes"]

_MODALITIES = {"MR": "MRI", "CT": "CT", "US": "US"}
_MODALITY = "0008|0060"


def header_notes(file: str, *, modality: str) -> tuple[str, ...]:
    """Return notes on a scan that was read.

    Args:
        file: its (first) file, or the folder of its DICOM series.
        modality: what the bundle was made for, as its metadata has it: MRI, CT, US or something else.
    """
    if Path(file).is_dir():
        found = _MODALITIES.get(_dicom_modality(Path(file)), modality)
        known = modality in _MODALITIES.values()
        return (f"its modality is {found}, and the bundle is for {modality}",) if known and found != modality else ()
    if not is_nifti(file):
        return ()
    header = nibabel.load(file).header
    if header["qform_code"] == 0 and header["sform_code"] == 0:
        return ("neither a qform nor an sform: where left and right are is a guess",)
    return ()


def _dicom_modality(folder: Path) -> str:
    # Imported here, because NIfTI files do not need it.
    import SimpleITK as sitk  # noqa: PLC0415

    with same_locale():
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
        if not files:
            return ""
        reader = sitk.ImageFileReader()
        reader.SetFileName(files[0])
        reader.ReadImageInformation()
        return str(reader.GetMetaData(_MODALITY)).strip() if reader.HasMetaDataKey(_MODALITY) else ""
