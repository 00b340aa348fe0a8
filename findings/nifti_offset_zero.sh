#!/usr/bin/env bash
# A single NIfTI file that says its voxels start at byte 0: nibabel and ITK read it at two places, and both are wrong.
#
# nibabel 5.4.2, SimpleITK 2.5.7. Some writers leave vox_offset at 0 in a .nii file, although the voxels follow header
# and extension flag at byte 352. Expected by most: readers refuse the file, or read the voxels. Seen, with no message:
#   - nibabel starts at byte 0: 352 bytes of header are the first voxels, and all others are moved by as many.
#   - SimpleITK (ITK's NIfTI reader) starts at byte 348, after the header: the 4 bytes of the extension flag come first, so
#     32-bit voxels are moved by one, 16-bit voxels by two, 8-bit voxels by four.
# So one file gives two different images. MONAI reads NIfTI with nibabel or with ITK, whichever its reader is.
#
# Output seen:
#   SimpleITK: first voxels 0 0 1 2; moved by 1: True
#   nibabel: first voxels 348 0 0 0; moved by 88: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check nibabel==5.4.2 SimpleITK==2.5.7 numpy==2.4.6 2>/dev/null
cat >"$folder/show.py" <<'PYTHON'
import sys

import nibabel as nib
import numpy as np
import SimpleITK as sitk

file = sys.argv[1] + "/scan.nii"
written = np.arange(8 * 9 * 10, dtype=np.int32).reshape((8, 9, 10), order="F")
nib.save(nib.Nifti1Image(written, np.eye(4)), file)
with open(file, "r+b") as stream:
    # vox_offset, a float32, is at byte 108.
    stream.seek(108)
    stream.write(np.float32(0).tobytes())

flat = written.ravel(order="F")
by_itk = sitk.GetArrayFromImage(sitk.ReadImage(file)).T.ravel(order="F")
by_nibabel = np.asarray(nib.load(file).dataobj).ravel(order="F")
for name, found, voxels, first in (("SimpleITK", by_itk, 1, 0), ("nibabel", by_nibabel, 88, 348)):
    moved = bool((found[voxels:] == flat[:-voxels]).all())
    print(f"{name}: first voxels {' '.join(map(str, found[:4]))}; moved by {voxels}: {moved}")
    assert moved and found[0] == first and not (found == flat).all()
PYTHON
"$folder/venv/bin/python" "$folder/show.py" "$folder"
