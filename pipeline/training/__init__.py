"""What MONAI's trainer lacks: a sparsity term, resumable checkpoints, seeds by epoch, early stopping, progress."""

from .checkpoint import ResumableCheckpoint
from .loss import SparseSkipLoss
from .progress import Progress
from .schedule import EpochSeed, StopWithoutProgress

__all__ = ["EpochSeed", "Progress", "ResumableCheckpoint", "SparseSkipLoss", "StopWithoutProgress"]
