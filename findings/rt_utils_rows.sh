#!/usr/bin/env bash
# rt-utils: a mask read from a structure set has rows and columns exchanged in its shape only, and loses what lies beyond.
#
# rt-utils 1.2.7, pydicom 3.0.2. A CT series of 20 rows and 32 columns (1 mm), a box of 6 x 10 voxels in one slice, added
# with `add_roi` as (rows, columns, slices), saved, and read with `get_roi_mask_by_name`. Expected by most: the same mask,
# and a contour around its 60 mm2. Seen, with no message:
#   - The mask that comes back has the shape (32, 20, 3), columns first. Its content has rows first. So columns from 20 on
#     are cut off: of a box in columns 15 to 24 half is left, of one in columns 20 to 29 nothing. On square images, as most
#     CT has, nothing is wrong.
#   - The contour runs through the centres of the outermost voxels, from 15 to 24 mm and from 3 to 8 mm: 45 mm2, a quarter
#     less than the mask. Other programs, which take a contour as the border, find a smaller structure.
#
# Output seen:
#   columns 4 to 13: shape (32, 20, 3), 60 of 60 voxels, contour of 45 mm2
#   columns 15 to 24: shape (32, 20, 3), 30 of 60 voxels, contour of 45 mm2
#   columns 20 to 29: shape (32, 20, 3), 0 of 60 voxels, contour of 45 mm2
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check rt-utils==1.2.7 pydicom==3.0.2 numpy==2.4.6 2>/dev/null
cat >"$folder/show.py" <<'PYTHON'
import sys
import tempfile
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from rt_utils import RTStructBuilder

ROWS, COLUMNS, SLICES = 20, 32, 3


def write_series(folder):
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for number in range(SLICES):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        scan = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        scan.SOPClassUID, scan.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        scan.StudyInstanceUID, scan.SeriesInstanceUID, scan.FrameOfReferenceUID = study, series, frame
        for word in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"):
            setattr(scan, word, "")
        scan.PatientName, scan.PatientID, scan.Modality, scan.ReferringPhysicianName = "made up", "0", "CT", ""
        scan.InstanceNumber, scan.SliceThickness, scan.PixelSpacing = number + 1, 2.0, [1.0, 1.0]
        scan.ImagePositionPatient, scan.ImageOrientationPatient = [0, 0, 2.0 * number], [1, 0, 0, 0, 1, 0]
        scan.Rows, scan.Columns, scan.SamplesPerPixel = ROWS, COLUMNS, 1
        scan.PhotometricInterpretation, scan.PixelRepresentation = "MONOCHROME2", 1
        scan.BitsAllocated, scan.BitsStored, scan.HighBit = 16, 16, 15
        scan.PixelData = np.zeros((ROWS, COLUMNS), np.int16).tobytes()
        scan.save_as(folder / f"{number}.dcm", enforce_file_format=True)


def area(contour):
    x, y = np.array(contour, float).reshape(-1, 3)[:, :2].T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


for first, left in ((4, 60), (15, 30), (20, 0)):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        series, file = folder / "series", folder / "structures.dcm"
        series.mkdir()
        write_series(series)
        mask = np.zeros((ROWS, COLUMNS, SLICES), bool)
        mask[3:9, first : first + 10, 1] = True
        structures = RTStructBuilder.create_new(dicom_series_path=str(series))
        structures.add_roi(mask=mask, name="box")
        structures.save(str(file))
        found = area(pydicom.dcmread(file).ROIContourSequence[0].ContourSequence[0].ContourData)
        again = RTStructBuilder.create_from(dicom_series_path=str(series), rt_struct_path=str(file))
        back = again.get_roi_mask_by_name("box")
        print(
            f"columns {first} to {first + 9}: shape {back.shape}, {back.sum()} of {mask.sum()} voxels, contour of {found:.0f} mm2",
            file=sys.stderr,
        )
        assert back.shape == (COLUMNS, ROWS, SLICES), back.shape
        assert back.sum() == left and found == 45
        if left == 60:
            assert np.array_equal(np.argwhere(back), np.argwhere(mask))  # rows first
PYTHON
"$folder/venv/bin/python" "$folder/show.py" >/dev/null
