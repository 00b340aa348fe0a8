"""The whole measurement: level 0 has the Dice of `lightskip evaluate`, and errors name what is wrong."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from pipeline.bundle.launch import prepare
from pipeline.data.errors import InputError
from pipeline.networks.spec_file import save_weights
from pipeline.study.robustness import PERTURBATIONS, measure_robustness
from pipeline.study.robustness.measure import spread_cases
from pipeline.study.weights import plain_weights


def evaluate(bundle: Path, folder: Path, *words: str) -> tuple[dict[str, float], float]:
    """Mean Dice of the labels by case, and the overall mean, as `lightskip evaluate` writes them."""
    assert prepare("evaluate", bundle, ["--output_dir", str(folder), "--runtime", "pytorch", *words]).run() == 0
    rows: dict[str, list[float]] = {}
    with (folder / "cases.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            rows.setdefault(row["case"], []).append(float(row["dice"]))
    overall = json.loads((folder / "summary.json").read_text())["overall"]["dice"]["mean"]
    return {case: float(np.mean(dice)) for case, dice in rows.items()}, overall


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "names"), [("bundle", ["bias_field", "resolution", "ghosting"]), ("picture_bundle", [*PERTURBATIONS])]
)
def test_level_0_has_the_dice_of_evaluate(
    kind: str, names: list[str], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bundle = request.getfixturevalue(kind)
    before = sorted(bundle.rglob("*"))
    by_case, overall = evaluate(bundle, tmp_path / "evaluation")
    done = measure_robustness(bundle, perturbations=names, runtime="pytorch")
    assert dict(zip(done["cases"], done["case_dice"], strict=True)) == pytest.approx(by_case, abs=2e-6)
    assert done["dice"] == pytest.approx(overall, abs=2e-6)
    assert [curve["name"] for curve in done["perturbations"]] == names
    for curve in done["perturbations"]:
        assert len(curve["dice"]) == 5
        assert np.shape(curve["case_dice"]) == (5, 3)
        assert all(0 <= dice <= 1 for dice in np.ravel(curve["case_dice"]))
        # Perturbations reach the network.
        assert np.ptp([done["dice"], *curve["dice"]]) > 0
    assert done["area"] == pytest.approx(np.mean([curve["area"] for curve in done["perturbations"]]), abs=2e-6)
    assert json.loads(json.dumps(done)) == done
    # Nothing is left in the bundle.
    assert sorted(bundle.rglob("*")) == before


@pytest.mark.slow
def test_a_perturbed_copy_has_the_dice_of_a_perturbed_file(bundle: Path, tmp_path: Path) -> None:
    """Gamma in the file and gamma before the normalisation are the same where the spacing is the network's own."""
    changed = tmp_path / "data"
    shutil.copytree(bundle / "data", changed)
    for file in changed.glob("*_image.nii.gz"):
        scan = nib.load(file)
        voxels = np.asarray(scan.dataobj, dtype=np.float64)
        low, high = voxels.min(), voxels.max()
        squared = low + (high - low) * ((voxels - low) / (high - low)) ** 2
        nib.save(nib.Nifti1Image(squared.astype(np.float32), scan.affine, scan.header), file)
    _, overall = evaluate(bundle, tmp_path / "evaluation", "--dataset_dir", str(changed))
    done = measure_robustness(bundle, perturbations=["gamma"], runtime="pytorch")
    assert done["perturbations"][0]["levels"][2] == 2.0
    assert done["perturbations"][0]["dice"][2] == pytest.approx(overall, abs=1e-3)
    assert done["dice"] != pytest.approx(overall, abs=1e-3)


@pytest.mark.slow
def test_numbers_depend_on_the_seed_only_and_not_on_other_cases_or_perturbations(bundle: Path) -> None:
    def measure(**options: Any) -> dict[str, Any]:
        return measure_robustness(bundle, perturbations=["noise"], runtime="pytorch", **options)

    every, one, other = measure(), measure(cases=1), measure(seed=1)
    assert one["cases"] == every["cases"][:1]
    assert every["perturbations"][0]["dice"] != other["perturbations"][0]["dice"]
    assert [row[0] for row in every["perturbations"][0]["case_dice"]] == [
        row[0] for row in one["perturbations"][0]["case_dice"]
    ]
    both = measure_robustness(bundle, perturbations=["blur", "noise"], runtime="pytorch")
    assert [curve["name"] for curve in both["perturbations"]] == ["noise", "blur"]
    assert both["perturbations"][0] == every["perturbations"][0]


@pytest.mark.slow
def test_the_last_epochs_averaged_weights_are_taken_from_a_training(bundle: Path, tmp_path: Path) -> None:
    best = torch.load(bundle / "models" / "model.pt", weights_only=True)
    last = {name: value + 0.05 if value.is_floating_point() else value for name, value in best.items()}
    training = tmp_path / "training"
    training.mkdir()
    save_weights(best, training / "model.pt", None)
    state = {"network": best, "average": last, "optimizer": {}, "epoch": 3, "identity": {"fold": 1}}
    torch.save(state, training / "last.pt")
    save_weights(last, tmp_path / "other.pt", None)

    def measure(**options: Any) -> dict[str, Any]:
        return measure_robustness(bundle, perturbations=["gamma"], runtime="pytorch", **options)

    # The training's own fold has one case.
    of_folder = measure(training_folder=training)
    assert len(of_folder["cases"]) == 1
    of_state = measure(checkpoint=training / "last.pt", fold=0)
    assert len(of_state["cases"]) == 3
    assert of_state == measure(checkpoint=tmp_path / "other.pt")
    assert of_state != measure(checkpoint=training / "model.pt")
    with plain_weights(training / "last.pt") as (file, fold):
        assert fold == 1
        assert all(torch.equal(value, last[name]) for name, value in torch.load(file, weights_only=True).items())
    assert not file.exists()


@pytest.mark.parametrize(
    ("names", "number", "expected"),
    [("cab", 5, "abc"), ("abcdefghij", 3, "aej"), ("ba", 1, "a"), ("abcdefghi", 5, "acegi")],
)
def test_cases_are_spread_over_the_sorted_names(names: str, number: int, expected: str) -> None:
    # Of 10 places the middle one is 4.5, which rounds to the even 4.
    assert "".join(names[place] for place in spread_cases(list(names), number)) == expected


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"perturbations": ["blurr"]}, "did you mean blur"),
        ({"cases": 0}, "1 or more"),
        ({"checkpoint": "a.pt", "training_folder": "b"}, "leave one out"),
        ({"checkpoint": "none.pt"}, "no such file"),
        ({"fold": 7}, "fold"),
        ({"overrides": {"windwo": [16, 16, 16]}}, "window"),
    ],
)
def test_what_cannot_be_used_is_named(bundle: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        measure_robustness(bundle, **options)


def test_a_damaged_file_of_weights_is_named(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"no weights")
    with pytest.raises(InputError, match="cannot load"):
        measure_robustness(bundle, training_folder=tmp_path)
