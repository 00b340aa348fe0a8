"""A training of seconds: MONAI's own trainer and evaluator, a tiny network, random images, the recipe's handlers."""

from types import SimpleNamespace

import pytest
import torch
from ignite.metrics import Metric
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import IgniteMetricHandler, LrScheduleHandler, ValidationHandler, from_engine
from monai.losses import DiceCELoss
from monai.optimizers import WarmupCosineSchedule
from monai.transforms import AsDiscreted

from pipeline.evaluation import PresentDice
from pipeline.networks import VNet
from pipeline.training import (
    EndInTime,
    EpochSeed,
    Progress,
    ResumableCheckpoint,
    StopWithoutProgress,
    ValidateLastEpoch,
)

LABELS = {"large": 2, "background": 0, "small": 1}  # not in the order of their values


class PlannedMetric(Metric):
    """A validation metric with a planned value for each epoch."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def reset(self):
        pass

    def update(self, output):
        pass

    def compute(self):
        return self.values[self.engine.state.epoch - 1]

    def attach(self, engine, name):
        self.engine = engine
        super().attach(engine, name)


def tiny_network(channels=(2, 4)):
    torch.manual_seed(0)
    return VNet(
        2,
        1,
        len(LABELS),
        channels=channels,
        convs_per_level=(1,) * len(channels),
        decoder_convs_per_level=(1,) * (len(channels) - 1),
        norm="instance",
        skip="sat",
    )


def random_cases(count):
    generator = torch.Generator().manual_seed(5)
    return [
        {
            "image": torch.randn(1, 8, 8, generator=generator),
            "label": torch.randint(len(LABELS), (1, 8, 8), generator=generator),
        }
        for _ in range(count)
    ]


def _dice(reduction):
    metric = PresentDice(len(LABELS), reduction=reduction)
    return IgniteMetricHandler(metric_fn=metric, output_transform=from_engine(["pred", "label"]), save_details=False)


@pytest.fixture
def make_training(tmp_path):
    """Return a function that builds a training in ``tmp_path``. ``planned`` replaces each epoch's validation Dice."""

    def build(
        *,
        epochs=3,
        resume=False,
        planned=None,
        interval=1,
        patience=0,
        network=None,
        shuffle=True,
        identity=None,
        validate_last=False,
        average=None,
        planned_threads=None,
        minutes=None,
        tracking=None,
        longer=None,
        validate=True,
    ):
        network = network or tiny_network()
        optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
        schedule = WarmupCosineSchedule(optimizer, warmup_steps=1, t_total=epochs, warmup_multiplier=0.1)
        validator = SupervisedEvaluator(
            device="cpu",
            val_data_loader=DataLoader(Dataset(random_cases(2)), batch_size=1),
            network=average or network,
            postprocessing=AsDiscreted(keys="pred", argmax=True),
            key_val_metric={"val_mean_dice": _dice("mean") if planned is None else PlannedMetric(planned)},
            additional_metrics={"val_label_dice": _dice("mean_batch")},
        )
        # A training on all cases has no validator.
        validator = validator if validate else None
        checkpoint = ResumableCheckpoint(
            tmp_path,
            network=network,
            optimizer=optimizer,
            lr_scheduler=schedule,
            validator=validator,
            average=average,
            resume=resume,
            longer=longer,
            identity=identity,
        )
        trainer = SupervisedTrainer(
            device="cpu",
            max_epochs=epochs,
            train_data_loader=DataLoader(Dataset(random_cases(5)), batch_size=2, shuffle=shuffle),
            network=network,
            optimizer=optimizer,
            loss_function=DiceCELoss(softmax=True, to_onehot_y=True),
            decollate=False,
            train_handlers=[
                EpochSeed(0),
                *([ValidationHandler(interval=interval, validator=validator)] if minutes is None and validate else []),
                EndInTime(minutes, schedule, fill=True, validator=validator),
                *([ValidateLastEpoch(validator, interval)] if validate_last else []),
                *([tracking] if tracking is not None else []),
                Progress(
                    tmp_path,
                    validator=validator,
                    labels=LABELS,
                    per_label_metric="val_label_dice",
                    planned_threads=planned_threads,
                ),
                LrScheduleHandler(schedule, print_lr=False),
                checkpoint,
                StopWithoutProgress(validator, patience),
            ],
        )
        return SimpleNamespace(
            network=network, optimizer=optimizer, schedule=schedule, validator=validator, trainer=trainer
        )

    return build
