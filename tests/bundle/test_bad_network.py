"""A network or a skip connection that cannot be: one message of the command, before anything runs or is written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipeline.bundle.render import write_rendered
from pipeline.cli import main

SOURCE = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes"

Told = Callable[..., str]

# A value of a plan's `skip`, or of --skip; the network has three levels, 16, 32 and 64 channels wide. Words of the
# message.
SKIPS = {
    "name": ("['satt', {'maps': 2}]", "did you mean 'sat'"),
    "option": ("['sat', {'map': 2}]", "'map'"),
    "option's value": ("['sat', {'select': 'medium'}]", "'soft' or 'hard'"),
    "number of levels": ("['none', 'sat', 'sat']", "skip has 3 entries; expected 2"),
    "level": ("['concat', {'only': 7}]", "a level of 0 (the finest) to 1"),
    "levels": ("['concat', {'all_but': [0, 7]}]", "a level of 0 (the finest) to 1"),
    "reduction": ("['scse', {'reduction': 17}]", "reduction is 17"),
    "aggregation": ("['scse', {'aggregation': 'mean'}]", "aggregation is 'mean'"),
}


LAYERS = {"kernel_size": 3, "norm": "instance", "act": "relu"}
SMALL = {"name": "unet", "channels": [8, 16, 32]}


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A rendered bundle in the working directory, with the files of a dataset of two folds."""
    (tmp_path / "shapes").mkdir()
    shutil.copy(SOURCE / "plan.yaml", tmp_path / "shapes")
    write_rendered(tmp_path / "shapes")
    data = tmp_path / "shapes" / "data"
    data.mkdir()
    items = [{"image": f"i{fold}.nii", "label": f"l{fold}.nii", "fold": fold} for fold in range(2)]
    for name in ("i0", "i1", "l0", "l1"):
        (data / f"{name}.nii").touch()
    (data / "dataset.json").write_text(json.dumps({"training": items}))
    monkeypatch.chdir(tmp_path)
    return Path("shapes")


@pytest.fixture
def told(bundle: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    """The one message of a command that ends with status 2 and changes no file."""

    def run(*words: str) -> str:
        before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
        assert main(list(words)) == 2
        assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("error:") == 1
        return err

    return run


def change_plan(bundle: Path, **changes: object) -> None:
    plan = yaml.safe_load((bundle / "plan.yaml").read_text())
    (bundle / "plan.yaml").write_text(yaml.safe_dump(plan | changes))


@pytest.mark.parametrize("kind", SKIPS)
def test_render_refuses_the_skip(kind: str, bundle: Path, told: Told) -> None:
    text, message = SKIPS[kind]
    change_plan(bundle, skip={"skip": yaml.safe_load(text)})
    for words in (["render", "shapes"], ["render", "shapes", "--check"]):
        error = told(*words)
        assert error.startswith("error: shapes/plan.yaml, network and skip: found a network that cannot be built: ")
        assert message in error


@pytest.mark.slow
@pytest.mark.parametrize("start", ["train --dry-run", "train --processes 2", "evaluate --checkpoint m.pt --dry-run"])
@pytest.mark.parametrize("kind", SKIPS)
def test_train_and_evaluate_refuse_the_skip(kind: str, start: str, told: Told) -> None:
    verb, *words = start.split()
    assert SKIPS[kind][1] in told(verb, "shapes", "--skip", SKIPS[kind][0], *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--skip satt", "did you mean 'sat'"),
        ("--network_def#channels [16,32]", "convs_per_level has 3 entries; expected 2"),
        ("--network_def#strides [2,2,2]", "strides has 3 entries"),
        ("--patch [30,32,32]", "multiple of 4"),
        ("--patch [4,4,4]", "more than one voxel at the deepest level"),
        ("--window [4,4,4]", "more than one voxel at the deepest level"),
        ("--network_def#recalibrate scsee", "did you mean 'scse'"),
        ("--network_def#recalibrate scse --network_def#recalibrate_at ['skip']", "skip"),
    ],
)
def test_a_dry_run_refuses_what_the_network_does_not_take(words: str, message: str, told: Told) -> None:
    assert message in told("train", "shapes", *words.split(), "--dry-run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"skip": "satt"}, "did you mean sat"),
        ({"skip": ["none", "sat"]}, "skip: {skip: [none, sat]}"),
        ({"network": {"name": "v-net"}}, "did you mean vnet?"),
        ({"network": {"name": "unett"}}, "did you mean unet?"),
        ({"network": {"name": "tiramisu"}}, "window must be divisible by 32 (a factor of two for each level"),
        ({"network": LAYERS | {"name": "residual_fcn", "channels": [8] * 7}}, "patch must be divisible by 64"),
        ({"network": LAYERS | {"name": "unet", "channels": [4] * 7}}, "the nearest such sizes are [64, 64, 64]"),
        ({"network": LAYERS | {"name": "residual_fcn", "channels": [8, 8, 6]}}, "expected a multiple of 4"),
        ({"network": LAYERS | SMALL | {"recalibrate": ["scse", {"reduction": 9}]}}, "reduction is 9 for 8 channels"),
        ({"network": LAYERS | SMALL | {"recalibrate": ["scse", {"aggregation": "concat"}]}}, "that keeps them"),
        ({"network": LAYERS | SMALL | {"recalibrate": "attention_gate"}}, "one of cse, project_excite, scse, sse"),
        ({"patch": [4, 4, 4]}, "patch: found [4, 4, 4]; expected more than one voxel at the deepest level"),
    ],
)
def test_render_refuses_the_plan(changes: dict[str, object], message: str, bundle: Path, told: Told) -> None:
    change_plan(bundle, **changes)
    error = told("render", "shapes").replace("plan.yaml, ", "plan.yaml ")
    assert message in error


@pytest.mark.slow
@pytest.mark.parametrize(
    "skip", ["['concat', {'only': 0}]", "['sat', {'all_but': [0], 'maps': 2}]", "['scse', {'reduction': 16}]", "scalar"]
)
def test_what_fits_is_taken(skip: str, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["train", "shapes"], ["evaluate", "shapes", "--checkpoint", "m.pt"]):
        assert main([*words, "--skip", skip, "--dry-run"]) == 0
        assert skip in capsys.readouterr().out
    change_plan(bundle, skip={"skip": yaml.safe_load(skip)})
    assert main(["render", "shapes"]) == 0


def test_a_skip_of_the_users_own_is_not_imported_to_render(bundle: Path) -> None:
    (bundle / "my_skips.py").write_text("raise RuntimeError('this ran')")
    change_plan(bundle, skip={"skip": "mine"}, imports=["my_skips"])
    assert main(["render", "shapes"]) == 0
