"""The validation during training: the metrics of the rendered recipes, run by MONAI's handlers as the trainer does."""

import math
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine
from monai.bundle import ConfigParser

TRAIN = sorted((Path(__file__).resolve().parents[2] / "bundles").glob("*/configs/train.json"))


def label_map(*values: int) -> torch.Tensor:
    return torch.tensor(values).reshape(1, len(values), 1)


# Label 1: Dice 1, 0.8 (2 of 2 and 3 pixels) and 0 (missed). Label 2, where a bundle has it: not counted where neither
# has it, 0 where it is found and not there, 1.
CASES = [
    {"pred": label_map(1, 0, 0, 0), "label": label_map(1, 0, 0, 0)},
    {"pred": label_map(1, 1, 0, 2), "label": label_map(1, 1, 1, 0)},
    {"pred": label_map(0, 0, 2, 0), "label": label_map(0, 1, 2, 0)},
]


@pytest.mark.parametrize("train", TRAIN, ids=[file.parents[1].name for file in TRAIN])
def test_absent_structures_count_as_in_an_evaluation(train: Path) -> None:
    parser = ConfigParser(ConfigParser.load_config_file(str(train)))
    classes = parser.get("out_channels")
    engine = Engine(lambda _engine, case: [{key: value.clamp(max=classes - 1) for key, value in case.items()}])
    for key in ("key_metric", "additional_metrics"):
        for name, metric in parser.get_parsed_content(f"validate#{key}").items():
            metric.attach(engine, name)
    # With two classes label 2 is label 1: found where there is none, it is half of what is found of the second case.
    one, two = ([1.0, 0.8, 0.0], [0.0, 1.0]) if classes > 2 else ([1.0, 2 * 2 / (3 + 3), 2 * 1 / (1 + 2)], [])
    means = [sum(dice) / len(dice) for dice in (one, two) if dice]
    state = engine.run(CASES)
    assert state.metrics["val_mean_dice"] == pytest.approx(sum(means) / len(means))
    # Of labels that no case has nothing is known, and the mean is over the others.
    by_label = torch.as_tensor(state.metrics["val_label_dice"]).flatten().tolist()
    assert by_label == pytest.approx([*means, *[math.nan] * (classes - 1 - len(means))], nan_ok=True)
