#!/usr/bin/env bash
# PyTorch on a CPU computes one sample of a 3D convolution by another algorithm than two, with more memory than for two.
#
# torch 2.13.0 (x86-64, CPU). Expected by most: a batch of one costs at most what a batch of two does. Seen:
#   - For a batch of one, oneDNN is used only if channels x first size x second size is above 20,480. The third size does
#     not count. Otherwise the convolution unfolds its input: 27 numbers per voxel and channel for a kernel of 3x3x3.
#   - 1 x 64 x 16 x 16 x 16, kernel 3: the peak is 28 MiB for one sample, below 6 MiB for two.
#   - The same sample gives other values, in the last digits, alone than next to another one.
# Coarse levels of volumetric networks are below the limit. So the last window of a scan, or sw_batch_size=1, takes the
# unfolding one. No time is asserted here: it depends on the machine.
#
# Output seen:
#   one sample: slow_conv3d, peak 28.0 MiB
#   two samples: mkldnn_convolution, peak 4.4 MiB
#   limit: 20480 slow_conv3d, 20496 mkldnn_convolution
#   third size 8 times as large: slow_conv3d
#   largest difference of the same sample: below 1e-4, not 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
cat >"$folder/show.py" <<'PYTHON'
import torch
from torch.autograd.profiler import profile

torch.manual_seed(0)
assert torch.__version__.split("+")[0] == "2.13.0"
assert torch.backends.mkldnn.is_available()


def run(channels, *size, samples=1):
    """Return the algorithm's name, the peak in MiB of what it allocates, and the output."""
    conv = torch.nn.Conv3d(channels, channels, 3, padding=1)
    torch.nn.init.constant_(conv.weight, 0.01)
    torch.nn.init.zeros_(conv.bias)
    x = torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(0))[:samples]
    with torch.no_grad(), profile(profile_memory=True, use_kineto=False) as profiler:
        y = conv(x)
    events = profiler.kineto_results.events()
    live = peak = 0
    for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    names = {event.name() for event in events}
    (name,) = {"mkldnn_convolution", "slow_conv3d"} & {n.removeprefix("aten::").removesuffix("_forward") for n in names}
    return name, peak / 2**20, y


name, one, first = run(64, 16, 16, 16)
print(f"one sample: {name}, peak {one:.1f} MiB")
assert name == "slow_conv3d" and one > 27
name, two, both = run(64, 16, 16, 16, samples=2)
print(f"two samples: {name}, peak {two:.1f} MiB")
assert name == "mkldnn_convolution" and two < 6
at, above = run(16, 32, 40, 8)[0], run(16, 21, 61, 8)[0]
print(f"limit: {16 * 32 * 40} {at}, {16 * 21 * 61} {above}")
assert (at, above) == ("slow_conv3d", "mkldnn_convolution")
longer = run(16, 32, 40, 64)[0]
print(f"third size 8 times as large: {longer}")
assert longer == "slow_conv3d"
difference = float((first - both[:1]).abs().max())
print(f"largest difference of the same sample: {difference:.1e}")
assert 0 < difference < 1e-4
PYTHON
OMP_NUM_THREADS=1 KINETO_LOG_LEVEL=99 "$folder/venv/bin/python" -W ignore "$folder/show.py"
