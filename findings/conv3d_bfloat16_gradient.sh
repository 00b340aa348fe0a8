#!/usr/bin/env bash
# On a CPU with AVX-512, PyTorch's bfloat16 gradient of a 3D kernel has parts that were never computed.
#
# torch 2.13.0 (x86-64, CPU). Expected by most: bfloat16 is float32 with fewer digits. Seen, on a grid of which an axis is
# smaller than the kernel, such as 2 x 4 x 4 under a kernel of 3 x 3 x 3 with padding 1:
#   - Some of the kernel's gradient is whatever the memory held before, so each call may give another gradient. Often that
#     is zeros or an earlier gradient, and a training only learns worse. Sometimes it is 1e31, and the loss becomes nan.
#   - The gradient of the input is right, so are float32, 2D convolutions, strides of 2, and grids of 3 and more.
#   - With ONEDNN_MAX_CPU_ISA=AVX2 it is right: the implementation for AVX-512 is the cause (oneDNN).
#   - With kernels of 7 the same ended the process (heap corruption); that is not shown here.
# The coarsest level of a network has such grids: a patch of 16 voxels, halved three times.
#
# Output seen, on a CPU with AVX-512:
#   bfloat16, depth 2: error 1e+30 or nan
#   bfloat16, depth 3: error below 1 %
#   float32, depth 2: error below 1 %
#   bfloat16, depth 2, AVX2 only: error below 1 %
set -euo pipefail
grep -q avx512bw /proc/cpuinfo || { echo "not shown: this processor has no AVX-512"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 2>/dev/null
cat >"$folder/show.py" <<'PYTHON'
import sys

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
assert torch.__version__.split("+")[0] == "2.13.0"


def error(depth, dtype):
    """Return the largest error of the kernel's gradient, relative to its largest value, over ten calls."""
    conv = torch.nn.Conv3d(16, 16, 3, padding=1).to(dtype)
    x = torch.randn(2, 16, depth, 4, 4).to(dtype)
    exact = torch.nn.Conv3d(16, 16, 3, padding=1).double()
    exact.load_state_dict(conv.state_dict())
    exact(x.double()).square().sum().backward()
    largest = 0.0
    for _ in range(10):
        conv.weight.grad = None
        # What the next tensors find in their memory.
        before = [torch.full(shape, 1e31, dtype=kind) for kind in (dtype, torch.float32) for _ in range(5)
                  for shape in (conv.weight.shape, x.shape)]
        del before
        conv(x).square().sum().backward()
        difference = (conv.weight.grad.double() - exact.weight.grad).abs().max()
        largest = max(largest, float(difference.nan_to_num(1e31) / exact.weight.grad.abs().max()))
    return largest


def tell(name, depth, dtype):
    found = error(depth, dtype)
    told = f"{found:.0e} or nan" if found > 1e6 else "below 1 %" if found < 0.01 else f"{found:.2g}"
    print(f"{name}: error {told}")
    return found


if sys.argv[1:] == ["avx2"]:
    assert tell("bfloat16, depth 2, AVX2 only", 2, torch.bfloat16) < 0.01
else:
    assert tell("bfloat16, depth 2", 2, torch.bfloat16) > 1e6
    assert tell("bfloat16, depth 3", 3, torch.bfloat16) < 0.01
    assert tell("float32, depth 2", 2, torch.float32) < 0.01
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/show.py"
ONEDNN_MAX_CPU_ISA=AVX2 "$folder/venv/bin/python" -W ignore "$folder/show.py" avx2
