"""What MONAI's trainer lacks: a sparsity term, checkpoints to resume from, seeds by epoch, a time limit, progress."""

from .augment import AugmentBatch
from .average import AverageWeights
from .cache import PreparedDataset
from .checkpoint import ResumableCheckpoint
from .config_text import config_text
from .end_in_time import EndInTime
from .loss import SparseSkipLoss
from .memory import keep_memory
from .mlflow_tracking import MLFlowTracking
from .muon import Muon
from .overlap_losses import BatchClDiceLoss, FocalTverskyLoss
from .parameters import parameter_groups
from .progress import Progress
from .schedule import EpochSeed, StopWithoutProgress, ValidateLastEpoch
from .segmentation_loss import SegmentationLoss
from .started_from import StartedFrom
from .stop_diverged import StopDiverged
from .targets import CodeLabelsd, LabelPositionsd, MarkAnnotatedd
from .weight_changes import WeightChanges

__all__ = [
    "AugmentBatch",
    "AverageWeights",
    "BatchClDiceLoss",
    "CodeLabelsd",
    "EndInTime",
    "EpochSeed",
    "FocalTverskyLoss",
    "LabelPositionsd",
    "MLFlowTracking",
    "MarkAnnotatedd",
    "Muon",
    "PreparedDataset",
    "Progress",
    "ResumableCheckpoint",
    "SegmentationLoss",
    "SparseSkipLoss",
    "StartedFrom",
    "StopDiverged",
    "StopWithoutProgress",
    "ValidateLastEpoch",
    "WeightChanges",
    "config_text",
    "keep_memory",
    "parameter_groups",
]
