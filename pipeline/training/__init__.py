"""What MONAI's trainer lacks: a sparsity term, checkpoints to resume from, seeds by epoch, early stopping, progress."""

from .checkpoint import ResumableCheckpoint
from .loss import SparseSkipLoss
from .progress import Progress
from .schedule import EpochSeed, StopWithoutProgress, ValidateLastEpoch

__all__ = ["EpochSeed", "Progress", "ResumableCheckpoint", "SparseSkipLoss", "StopWithoutProgress", "ValidateLastEpoch"]
