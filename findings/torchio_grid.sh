#!/usr/bin/env bash
# TorchIO: a way to a coarser grid and back leaves planes of zeros, and four ghosts are three or one, by the number of voxels.
#
# TorchIO 1.2.1, PyTorch 2.13.0. Expected by most: a scan that is resampled to twice the voxel size and back to its own
# grid is smoother, and otherwise as before; `num_ghosts` is the number of ghosts, on every scan. Seen, with no message:
#   - Resample: a volume of 41 x 41 x 41 voxels that are all 100 comes back with 7 % of its voxels 0: the last plane of
#     every axis. With 40 or 42 voxels an axis all are 100. The coarse grid has the length divided by two and rounded
#     down, and what lies outside of it is filled with 0 on the way back, whatever the scan's background. So simulated low
#     resolution also cuts scans of odd sizes, and a network's Dice falls for another reason.
#   - Ghosting along an axis, of a single bright point, with num_ghosts=4 and intensity=0.5: three ghosts a quarter of
#     the axis apart with 40 and 44 voxels, negative with 40, two positive and one negative with 44; one ghost, half of
#     the axis away, with 42 and 46. The weakened planes are every fourth of k-space counted from its edge, so where
#     they lie relative to its centre depends on the length modulo 8.
#
# Output seen:
#   41 voxels an axis: 7.1 % became 0; 40: 0.0 %; 42: 0.0 %
#   40 voxels: ghosts at -20 (-11.2), -10 (-11.2), +10 (-11.2)
#   42 voxels: ghosts at -21 (+13.1)
#   44 voxels: ghosts at -22 (-12.5), -11 (+12.5), +11 (+12.5)
#   46 voxels: ghosts at -23 (+13.0)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 torchio==1.2.1 numpy==2.4.6 2>/dev/null
cat >"$folder/show.py" <<'PYTHON'
import torch
import torchio as tio


def share_of_zeros(size):
    scan = tio.ScalarImage(tensor=torch.full((1, size, size, size), 100.0))
    back = tio.Resample(scan)(tio.Resample(2)(scan))
    return 100 * (back.data < 50).float().mean().item()


def ghosts(size):
    scan = torch.zeros(1, size, 3, 3)
    scan[0, size // 2, 1, 1] = 100
    ghosting = tio.Ghosting(num_ghosts=4, axis=0, intensity=0.5, restore=None)
    line = ghosting(tio.ScalarImage(tensor=scan)).data[0, :, 1, 1]
    return {place - size // 2: line[place].item() for place in range(size) if 5 < abs(line[place]) < 50}


zeros = {size: share_of_zeros(size) for size in (41, 40, 42)}
print(f"41 voxels an axis: {zeros[41]:.1f} % became 0; 40: {zeros[40]:.1f} %; 42: {zeros[42]:.1f} %")
assert abs(zeros[41] - 100 * (1 - (40 / 41) ** 3)) < 0.01, zeros
assert zeros[40] == zeros[42] == 0, zeros

seen = {}
for size in (40, 42, 44, 46):
    seen[size] = ghosts(size)
    print(f"{size} voxels: ghosts at " + ", ".join(f"{place:+d} ({value:+.1f})" for place, value in seen[size].items()))
assert list(seen[40]) == [-20, -10, 10]
assert all(value < 0 for value in seen[40].values())
assert list(seen[42]) == [-21]
assert list(seen[44]) == [-22, -11, 11]
assert [value > 0 for value in seen[44].values()] == [False, True, True]
assert list(seen[46]) == [-23]
PYTHON
"$folder/venv/bin/python" "$folder/show.py"
