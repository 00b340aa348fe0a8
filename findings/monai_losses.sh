#!/usr/bin/env bash
# MONAI: the second half of DiceCELoss and DiceFocalLoss has another activation than the first, and clDice pools classes.
#
# MONAI 1.6.1, PyTorch 2.13.0. Expected by most: `sigmoid=True` or `softmax=True` holds for the whole loss, and a loss for
# several classes is a mean over them. Seen, with no message:
#   - DiceCELoss(sigmoid=True) with more than one channel, as for nested or overlapping regions: the cross-entropy is the
#     softmax's. A voxel outside of all regions costs it nothing, however sure each channel is that it is inside. A voxel
#     inside of three regions costs 3 log 3 with a right prediction. The binary cross-entropy is 20 and 0 there.
#   - DiceFocalLoss(softmax=True): the focal part is that of sigmoids. FocalLoss(use_softmax=True) alone with gamma 0 is
#     the cross-entropy divided by the number of classes.
#   - SoftclDiceLoss and SoftDiceclDiceLoss sum all classes into one ratio: a small class that is missed entirely next to
#     a large one that is right costs .30; alone it costs .89.
#
# Output seen:
#   outside of all regions, predicted inside: cross-entropy part 0.00, binary cross-entropy 20.00
#   inside of all three regions, predicted so: cross-entropy part 3.30, binary cross-entropy 0.00
#   DiceFocalLoss(softmax=True) without Dice 0.339; FocalLoss of sigmoids 0.339; of a softmax 0.288
#   FocalLoss of a softmax with gamma 0: 0.450; cross-entropy 1.350
#   clDice, small class missed: 0.30 with a large class that is right, 0.89 alone
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 monai==1.6.1 numpy==2.4.6 2>/dev/null
cat >"$folder/show.py" <<'PYTHON'
import math

import torch
import torch.nn.functional as F
from monai.losses import DiceCELoss, DiceFocalLoss, FocalLoss, SoftclDiceLoss

regions = DiceCELoss(sigmoid=True, lambda_dice=0.0)
sure = torch.full((1, 3, 4, 4, 4), 20.0)
outside, inside = torch.zeros_like(sure), torch.ones_like(sure)
wrong, wrong_binary = regions(sure, outside).item(), F.binary_cross_entropy_with_logits(sure, outside).item()
right, right_binary = regions(sure, inside).item(), F.binary_cross_entropy_with_logits(sure, inside).item()
print(f"outside of all regions, predicted inside: cross-entropy part {wrong:.2f}, binary cross-entropy {wrong_binary:.2f}")
print(f"inside of all three regions, predicted so: cross-entropy part {right:.2f}, binary cross-entropy {right_binary:.2f}")
assert wrong == 0 and abs(wrong_binary - 20) < 1e-3
assert abs(right - 3 * math.log(3)) < 1e-3 and right_binary < 1e-3

torch.manual_seed(0)
labels, logits = torch.randint(0, 3, (1, 1, 6, 6, 6)), torch.randn(1, 3, 6, 6, 6)
one_hot = F.one_hot(labels[:, 0], 3).movedim(-1, 1).float()
half = DiceFocalLoss(softmax=True, to_onehot_y=True, lambda_dice=0.0)(logits, labels).item()
of_sigmoids, of_softmax = FocalLoss()(logits, one_hot).item(), FocalLoss(use_softmax=True)(logits, one_hot).item()
print(f"DiceFocalLoss(softmax=True) without Dice {half:.3f}; FocalLoss of sigmoids {of_sigmoids:.3f}; of a softmax {of_softmax:.3f}")
assert abs(half - of_sigmoids) < 1e-6 and abs(half - of_softmax) > 0.01
plain, cross_entropy = FocalLoss(use_softmax=True, gamma=0.0)(logits, one_hot).item(), F.cross_entropy(logits, labels[:, 0]).item()
print(f"FocalLoss of a softmax with gamma 0: {plain:.3f}; cross-entropy {cross_entropy:.3f}")
assert abs(3 * plain - cross_entropy) < 1e-5

truth = torch.zeros(1, 2, 24, 24, 24)
truth[0, 0, 2:22, 4:7, 4:7] = 1
truth[0, 1, 10:14, 16:18, 16:18] = 1
missed = truth.clone()
missed[0, 1] = 0
loss = SoftclDiceLoss(iter_=3)
both, alone = loss(truth, missed).item(), loss(truth[:, 1:], missed[:, 1:]).item()
print(f"clDice, small class missed: {both:.2f} with a large class that is right, {alone:.2f} alone")
assert abs(alone - 8 / 9) < 1e-3 and both < alone / 2
PYTHON
"$folder/venv/bin/python" "$folder/show.py"
