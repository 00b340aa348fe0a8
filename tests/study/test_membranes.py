"""V_rand and V_info of a trained network, against the probabilities that prediction gives and the measure itself."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import monai
import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigParser
from PIL import Image

from pipeline.bundle.render import write_rendered
from pipeline.data.errors import InputError
from pipeline.evaluation.membranes import measure_membranes
from pipeline.networks.spec_file import save_weights
from pipeline.prediction.predictor import Predictor
from pipeline.study.membranes import _find_membrane, score_membranes

PLAN = Path(__file__).resolve().parents[2] / "bundles" / "em_membrane" / "plan.yaml"
SIZE = 32  # pixels


@pytest.fixture(autouse=True)
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a run changes in its process is put back: the excepthook, the module path, the fixed seeds."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    monai.utils.set_determinism(seed=None)


def make_picture(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells of a random grid with dark borders, and the label map of the file: 0 is membrane."""
    rng = np.random.default_rng(seed)
    border = np.zeros((SIZE, SIZE), bool)
    border[rng.choice(np.arange(4, SIZE - 4), 2, replace=False)] = True
    border[:, rng.choice(np.arange(4, SIZE - 4), 2, replace=False)] = True
    grey = np.where(border, 60, 180) + rng.normal(0, 40, border.shape)
    return np.clip(grey, 0, 255).astype(np.uint8), np.where(border, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of pictures with cells, whose network has random weights and dropout; the last picture is of fold 1."""
    folder = tmp_path_factory.mktemp("study") / "cells"
    (folder / "data").mkdir(parents=True)
    items = []
    for number in range(4):
        for kind, picture in zip(("image", "label"), make_picture(number), strict=True):
            Image.fromarray(picture).save(folder / "data" / f"{kind}_{number}.png")
        items.append({kind: f"{kind}_{number}.png" for kind in ("image", "label")} | {"fold": number // 3})
    (folder / "data" / "dataset.json").write_text(json.dumps({"training": items}))
    plan = yaml.safe_load(PLAN.read_text())
    plan |= {"name": "cells", "patch": [16, 16], "window": [16, 16], "skip": "concat"}
    plan["data"] |= {"manifest": "data/dataset.json"}
    plan["network"] |= {"channels": [4, 8], "convs_per_level": [1, 1], "decoder_convs_per_level": [1], "dropout": 0.3}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    write_rendered(folder)
    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(2)
        network = parser.get_parsed_content("network_def")
    (folder / "models").mkdir()
    save_weights(network.state_dict(), folder / "models" / "model.pt", network.spec)
    return folder


def score(bundle: Path, **options: Any) -> dict[str, Any]:
    given = {"checkpoint": bundle / "models" / "model.pt", "fold": 0, "overrides": {"precision": "float32"}}
    return score_membranes(bundle, **{**given, **options})


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 3])
def test_scores_are_those_of_the_predicted_probabilities(samples: int, bundle: Path) -> None:
    predictor = Predictor(bundle, device="cpu", dropout_samples=samples, settings={"precision": "float32"})
    stack, references = [], []
    for number in range(3):
        found = predictor(bundle / "data" / f"image_{number}.png", probabilities=True).probabilities
        stack.append(found[..., 1])
        # A picture's rows are the second axis of a scan.
        references.append(make_picture(number)[1].T == 0)
    # No pixel is so near to a threshold that rounding decides.
    assert min(np.abs(np.array(stack) - step / 10).min() for step in range(1, 10)) > 1e-6
    # The measure itself takes one threshold for a stack.
    expected = measure_membranes(np.array(stack), np.array(references))
    scores = score(bundle, dataset_dir=bundle / "data", dropout_samples=samples)
    assert scores == {
        "v_rand": pytest.approx(expected.v_rand.v_rand, abs=1e-6),
        "v_rand_threshold": expected.v_rand_threshold,
        "v_info": pytest.approx(expected.v_info.v_info, abs=1e-6),
        "v_info_threshold": expected.v_info_threshold,
        "samples": samples,
    }
    assert 0 < scores["v_rand"] < 1
    json.dumps(scores, allow_nan=False)


@pytest.mark.slow
def test_of_another_fold_other_pictures_are_scored(bundle: Path) -> None:
    assert score(bundle, dataset_dir=bundle / "data", fold=1) != score(bundle, dataset_dir=bundle / "data")


def test_nothing_is_written_into_the_bundle(bundle: Path) -> None:
    before = sorted(bundle.rglob("*"))
    score(bundle, dataset_dir=bundle / "data")
    assert sorted(bundle.rglob("*")) == before


def test_pictures_without_a_cell_have_no_score(bundle: Path, tmp_path: Path) -> None:
    grey = Image.fromarray(make_picture(0)[0])
    for number in range(2):
        grey.save(tmp_path / f"image_{number}.png")
        Image.fromarray(np.zeros((SIZE, SIZE), np.uint8)).save(tmp_path / f"label_{number}.png")
    items = [{"image": f"image_{fold}.png", "label": f"label_{fold}.png", "fold": fold} for fold in range(2)]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": items}))
    given = {"precision": "float32", "datalist": tmp_path / "dataset.json"}
    assert score(bundle, dataset_dir=tmp_path, overrides=given) == {
        "v_rand": None,
        "v_rand_threshold": None,
        "v_info": None,
        "v_info_threshold": None,
        "samples": 1,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint": "none.pt"}, "none.pt: found no such file"),
        ({"fold": 7}, "fold 7"),
        ({"dropout_samples": 0}, "dropout_samples: found 0"),
        ({"overrides": {"network_def#dropout": 0.0}, "dropout_samples": 2}, "dropout"),
    ],
)
def test_what_cannot_be_scored_is_refused(options: dict[str, Any], message: str, bundle: Path) -> None:
    with pytest.raises(InputError, match=message):
        score(bundle, **{"dataset_dir": bundle / "data", **options})


def test_the_membrane_is_the_only_label_or_the_one_of_that_name() -> None:
    def find(dims: int = 2, **labels: int) -> int:
        labels = {"background": 0, **labels}
        known = {"regions": None, "ignored": [], "provenance": {"bundle": "cells"}}
        return _find_membrane(SimpleNamespace(spatial_dims=dims, labels=labels, **known))

    assert find(border=1) == 1
    assert find(vesicle=1, Membrane=2) == 2
    with pytest.raises(InputError, match="cells: found the labels vesicle, border"):
        find(vesicle=1, border=2)
    with pytest.raises(InputError, match="cells: found scans in 3 dimensions"):
        find(dims=3, membrane=1)
