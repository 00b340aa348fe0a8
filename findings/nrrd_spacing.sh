#!/usr/bin/env bash
# An NRRD file in centimetres is read as millimetres, and one that gives the ends of its axes as 1 mm.
#
# SimpleITK 2.5.7 (ITK's NRRD reader). NRRD has a field "space units" for the unit of the space
# directions, and "axis mins" and "axis maxs" for the ends of each axis instead of spacings. Expected by most: a spacing in
# mm, as ITK converts metres and micrometres of NIfTI, or an error. Seen, with no message:
#   - 'space units: "cm" "cm" "cm"' with directions of 0.1, 0.1 and 0.2: spacing 0.1 x 0.1 x 0.2, for 1 x 1 x 2 mm. A
#     volume (ml) is 1000 times too small; with "um" it is 10^9 times too large.
#   - axes of 10, 10 and 5 voxels from 0 to 20, 20 and 20: spacing 1 x 1 x 1, for 2 x 2 x 4.
# Both fields are in the format's definition, and other programs write them.
#
# Output seen:
#   in cm: SimpleITK (0.1, 0.1, 0.2)
#   by its ends: SimpleITK (1.0, 1.0, 1.0)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check SimpleITK==2.5.7 numpy==2.4.6 2>/dev/null
cat >"$folder/show.py" <<'PYTHON'
import sys

import numpy as np
import SimpleITK as sitk

PLACES = {
    "in cm": "space: left-posterior-superior\nspace units: \"cm\" \"cm\" \"cm\"\n"
    "space directions: (0.1,0,0) (0,0.1,0) (0,0,0.2)\nspace origin: (0,0,0)\n",
    "by its ends": "axis mins: 0 0 0\naxis maxs: 20 20 20\n",
}
SEEN = {"in cm": (0.1, 0.1, 0.2), "by its ends": (1.0, 1.0, 1.0)}
for name, place in PLACES.items():
    file = f"{sys.argv[1]}/scan.nrrd"
    header = f"NRRD0004\ntype: short\ndimension: 3\nsizes: 10 10 5\nendian: little\nencoding: raw\n{place}\n"
    with open(file, "wb") as stream:
        stream.write(header.encode() + np.arange(500, dtype="<i2").tobytes())
    image = sitk.ReadImage(file)
    spacing = tuple(round(size, 6) for size in image.GetSpacing())
    print(f"{name}: SimpleITK {spacing}")
    assert spacing == SEEN[name]
    assert (sitk.GetArrayFromImage(image).ravel() == np.arange(500)).all()
PYTHON
"$folder/venv/bin/python" "$folder/show.py" "$folder"
