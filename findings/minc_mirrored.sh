#!/usr/bin/env bash
# SimpleITK and nibabel place the same MINC file on opposite sides of the head, and converting it mirrors it for good.
#
# SimpleITK 2.5.7, nibabel 5.4.2, h5py 3.16.0. MINC's axes point right, front and up, like NIfTI's; SimpleITK's images
# point left, back and up. Expected by most: as with NIfTI, SimpleITK turns x and y round when it reads and writes.
# Seen, with no message: for MINC it does not, in either direction. So a round trip through SimpleITK alone looks right,
# while
#   - an image that SimpleITK writes as NIfTI and as MINC has two places in nibabel: x and y have the other sign;
#   - MINC that SimpleITK reads and writes as NIfTI has the other place than nibabel gives for the MINC file.
# A label map of one on the scan of the other is mirrored left to right and front to back. The voxels are equal.
#
# Output seen:
#   written as NIfTI: x -1.0, y -2.0, z +3.0, origin -10.0 -20.0 +30.0
#   written as MINC:  x +1.0, y +2.0, z +3.0, origin +10.0 +20.0 +30.0
#   small.mnc of nibabel:             x +7.0, y +8.0, z +9.0, origin -98.0 -134.0 -72.0
#   the same as NIfTI by SimpleITK:   x -7.0, y -8.0, z +9.0, origin +98.0 +134.0 -72.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check SimpleITK==2.5.7 nibabel==5.4.2 h5py==3.16.0 numpy==2.4.6 \
    scipy==1.17.1 2>/dev/null
cat >"$folder/show.py" <<'PYTHON'
import sys
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

folder = Path(sys.argv[1])


def place(file):
    """Return the signed steps of x, y and z, and the origin, in nibabel's RAS, whatever the order of the array."""
    image = nibabel.load(file)
    steps = image.affine[:3, :3].sum(axis=1)
    return [*steps.round(3).tolist(), *image.affine[:3, 3].round(3).tolist()]


def show(words, found):
    x, y, z, *origin = found
    print(f"{words} x {x:+.1f}, y {y:+.1f}, z {z:+.1f}, origin " + " ".join(f"{one:+.1f}" for one in origin))
    return found


image = sitk.GetImageFromArray(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
image.SetOrigin((10, 20, 30))
image.SetSpacing((1, 2, 3))
for name in ("a.nii", "a.mnc"):
    sitk.WriteImage(image, str(folder / name))
assert show("written as NIfTI:", place(folder / "a.nii")) == [-1, -2, 3, -10, -20, 30]
assert show("written as MINC: ", place(folder / "a.mnc")) == [1, 2, 3, 10, 20, 30]
again = sitk.ReadImage(str(folder / "a.mnc"))
assert again.GetOrigin() == (10, 20, 30)
assert np.allclose(sitk.GetArrayFromImage(again), sitk.GetArrayFromImage(image), atol=1e-3)

small = Path(nibabel.__file__).parent / "tests" / "data" / "small.mnc"
sitk.WriteImage(sitk.ReadImage(str(small)), str(folder / "small.nii"))
assert show("small.mnc of nibabel:           ", place(small)) == [7, 8, 9, -98, -134, -72]
assert show("the same as NIfTI by SimpleITK: ", place(folder / "small.nii")) == [-7, -8, 9, 98, 134, -72]
PYTHON
"$folder/venv/bin/python" "$folder/show.py" "$folder"
