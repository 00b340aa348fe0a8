"""The losses by name, against their formulas."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from monai.bundle import ConfigParser
from torch import Tensor

from pipeline.bundle.losses import NEEDS_ALL_VOXELS, LossName, loss_component, replace_loss_name
from pipeline.bundle.plan import load_plan
from pipeline.bundle.render import write_rendered
from pipeline.bundle.words import parse_value
from pipeline.data.errors import InputError

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"


def build(name: Any) -> Any:
    parser = ConfigParser({"loss": loss_component(name)})
    return parser.get_parsed_content("loss")


def make_batch(classes: int = 2) -> tuple[Tensor, Tensor]:
    """Logits and labels of two pictures, of which the second has no membrane."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, 6, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, classes, (2, 1, 6, 5), generator=generator)
    labels[1][labels[1] == 1] = 0
    return logits, labels


def dice_by_hand(logits: Tensor, labels: Tensor, label: int, smooth: float) -> float:
    """(2 sum(y p) + smooth) / (sum(y) + sum(p) + smooth), over the voxels of all pictures."""
    powers = np.exp(logits.numpy())
    p = (powers / powers.sum(axis=1, keepdims=True))[:, label]
    y = labels.numpy()[:, 0] == label
    return (2 * (y * p).sum() + smooth) / (y.sum() + p.sum() + smooth)


def test_the_dice_loss_is_the_published_one_plus_one() -> None:
    logits, labels = make_batch()
    # Drozdzal et al.: -(2 sum(y p) + 1) / (sum(y) + sum(p) + 1), y the membrane.
    published = -dice_by_hand(logits, labels, 1, smooth=1)
    assert build("dice")(logits, labels).item() == pytest.approx(published + 1)
    # A constant apart, so the gradients are the same: by finite differences.
    logits.requires_grad_(True)
    build("dice")(logits, labels).backward()
    step = torch.zeros_like(logits)
    step[0, 1, 2, 3] = 1e-5
    with torch.no_grad():
        there, back = (-dice_by_hand(logits.detach() + sign * step, labels, 1, smooth=1) for sign in (1, -1))
    assert logits.grad[0, 1, 2, 3].item() == pytest.approx((there - back) / 2e-5, rel=1e-4)


def test_the_dice_loss_of_several_labels_is_their_mean_without_background() -> None:
    logits, labels = make_batch(3)
    expected = 1 - np.mean([dice_by_hand(logits, labels, label, smooth=1) for label in (1, 2)])
    assert build("dice")(logits, labels).item() == pytest.approx(expected)


@pytest.mark.parametrize("classes", [2, 3])
def test_cross_entropy_is_the_mean_over_voxels(classes: int) -> None:
    logits, labels = make_batch(classes)
    found = build("cross_entropy")(logits, labels).item()
    assert found == pytest.approx(F.cross_entropy(logits, labels[:, 0]).item())
    powers = np.exp(logits.numpy())
    chosen = np.take_along_axis(powers / powers.sum(axis=1, keepdims=True), labels.numpy(), axis=1)
    assert found == pytest.approx(-np.log(chosen).mean())


@pytest.mark.parametrize("classes", [2, 3])
def test_the_default_is_dice_of_all_classes_and_cross_entropy(classes: int) -> None:
    logits, labels = make_batch(classes)
    dice = np.mean([dice_by_hand(logits, labels, label, smooth=1e-5) for label in range(classes)])
    expected = 1 - dice + F.cross_entropy(logits, labels[:, 0]).item()
    assert build("dice_ce")(logits, labels).item() == pytest.approx(expected)


@pytest.mark.slow
def test_a_plan_names_one_of_them(tmp_path: Path) -> None:
    plan = yaml.safe_load((BUNDLES / "synthetic_shapes" / "plan.yaml").read_text())
    assert "loss" not in plan["training"]
    rendered = {}
    for name in (None, *get_args(LossName)):
        plan["training"] |= {} if name is None else {"loss": name}
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
        write_rendered(tmp_path)
        rendered[name] = json.loads((tmp_path / "configs" / "train.json").read_text())
        assert rendered[name]["loss"]["loss"] == loss_component(name or "dice_ce")
    assert rendered[None] == rendered["dice_ce"]
    plan["training"]["loss"] = "dicee"
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    with pytest.raises(InputError, match=r"training\.loss"):
        load_plan(tmp_path)


def test_a_name_is_replaced_by_its_component() -> None:
    for name in get_args(LossName):
        [(key, text)] = replace_loss_name({"loss": name}).items()
        assert (key, parse_value(text)) == ("loss#loss", loss_component(name))
    given = {"epochs": "3", "loss#loss#smooth_nr": "0.5", "loss": "dice"}
    # The component comes first, so that the override inside it counts.
    assert list(replace_loss_name(given)) == ["loss#loss", "epochs", "loss#loss#smooth_nr"]


@pytest.mark.parametrize("settings", [{}, {"epochs": "3"}, {"loss": "{'_target_': 'MyLoss'}"}, {"loss": "@my_loss"}])
def test_other_settings_are_kept(settings: dict[str, str]) -> None:
    assert replace_loss_name(settings) == settings


@pytest.mark.parametrize(
    ("name", "remedy"), [("Dice", "did you mean dice"), ("crossentropy", "did you mean cross_entropy"), ("True", "set")]
)
def test_another_name_is_refused(name: str, remedy: str) -> None:
    with pytest.raises(InputError, match=f"--loss {name}: .*expected one of dice_ce, dice, cross_entropy") as raised:
        replace_loss_name({"loss": name})
    assert remedy in raised.value.remedy


def test_with_regions_a_name_is_a_loss_that_knows_the_target_table() -> None:
    config = {"targets": {"regions": {"whole": [1, 2]}}, "ignored_values": [255]}
    [(key, text)] = replace_loss_name({"loss": "tversky"}, config).items()
    component = parse_value(text)
    assert (key, component["_target_"]) == ("loss#loss", "pipeline.training.SegmentationLoss")
    assert component["targets"] == "@targets"
    # Regions have no background to leave out.
    assert "background" not in component
    assert loss_component("tversky", targets=True)["background"] is False


@pytest.mark.parametrize("name", sorted(NEEDS_ALL_VOXELS))
@pytest.mark.parametrize("config", [{"ignored_values": [255]}, {"ignored_values": [], "annotated_sets": []}])
def test_a_loss_that_needs_whole_structures_is_refused_without_them(name: str, config: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"--loss {name}: found a bundle with (ignored values|partly annotated cases)"):
        replace_loss_name({"loss": name}, {"targets": {}, **config})
    assert replace_loss_name({"loss": name}, {"targets": {}, "ignored_values": []})


def test_a_plan_with_ignored_values_refuses_it_too(tmp_path: Path) -> None:
    plan = yaml.safe_load((BUNDLES / "synthetic_shapes" / "plan.yaml").read_text())
    plan["training"]["loss"] = "cldice"
    for extra in ({"ignored_values": [9]}, {"partial_labels": True}):
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump({**plan, **extra}))
        with pytest.raises(InputError, match=r"training\.loss needs the skeleton of whole structures"):
            load_plan(tmp_path)
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    assert load_plan(tmp_path).training.loss == "cldice"
