import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser, ConfigWorkflow, create_workflow, run

from pipeline.bundle import check_overrides
from pipeline.data.errors import InputError

# MONAI says at every start that a config is code.
pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")

CHECK = ["$import pipeline", "$import pipeline.bundle"]
TRAIN: dict[str, Any] = {
    "imports": CHECK,
    "bundle_root": ".",
    "epochs": 2,
    "device": "cpu",
    "sizes": [8, 16],
    "weights": {"dice": 1.0, "ce": 1.0},
    "network_def": {"_target_": "BasicUNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 2},
    "train": {
        "inferer": {"_target_": "SimpleInferer"},
        "trainer": {"max_epochs": "@epochs"},
        "handlers": [{"_target_": "StatsHandler", "_disabled_": True, "output_transform": "$lambda x: x"}],
    },
    "nothing": None,
    "alias": "%weights",
    "training": "%run",
    "initialize": ["$pipeline.bundle.check_overrides()"],
    "run": ["$None"],
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "configs" / "train.json"
    file.parent.mkdir()
    file.write_text(json.dumps(TRAIN))
    (file.parent / "metadata.json").write_text(json.dumps({"version": "0.1.0", "task": "x"}))
    return file


def input_error(error: BaseException | None) -> InputError:
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    assert error is not None
    return error


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"epochs": 3},
    {"weights#dice": 0.5},
    {"train#trainer#max_epochs": 3},
    {"train::trainer::max_epochs": 3},
    {"sizes": [1, 2, 3]},
    {"sizes#1": 3},
    {"nothing": {"a": 1}},
    {"network_def#features": [8, 8, 8, 8, 8, 8]},
    {"network_def#_disabled_": True},
    {"network_def": {"_target_": "UNETR", "in_channels": 1, "out_channels": 2, "img_size": 32}},
    {"network_def#_target_": "$print"},
    {"train#inferer": {"_target_": "SlidingWindowInferer", "roi_size": 8, "overlap": 0.5}},
    {"train#handlers#0#tag_name": "loss"},
    {"train#handlers": []},
    {"_meta_#task": "y"},
    {"alias": {"dice": 2}},
]

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"epoch": 3}, "--epoch", "epochs"),
    ({"max_epochs": 3}, "--max_epochs", "train#trainer#max_epochs"),
    ({"weights#dise": 1}, "--weights#dise", "weights#dice"),
    ({"train#trainer#max_epoch": 3}, "--train#trainer#max_epoch", "train#trainer#max_epochs"),
    ({"train#trianer": 3}, "--train#trianer", "train#trainer"),
    ({"network_def#in_chanels": 1}, "--network_def#in_chanels", "network_def#in_channels"),
    ({"train#handlers#0#tag": "loss"}, "--train#handlers#0#tag", ""),
    ({"train#inferer": {"_target_": "SlidingWindowInferer", "roi": 8}}, "--train#inferer#roi", ""),
    ({"output_dir": "x"}, "--output_dir", ""),
    ({"run_name": "x"}, "--run_name", ""),
]


@pytest.mark.parametrize("overrides", ACCEPTED, ids=",".join)
def test_lets_known_overrides_pass(config: Path, overrides: dict[str, Any]) -> None:
    workflow = create_workflow(config_file=str(config), workflow_type="train", **overrides)
    assert all(workflow.parser[key] == value for key, value in overrides.items() if not key.startswith("_meta_"))
    ConfigWorkflow(str(config), **overrides).initialize()


@pytest.mark.parametrize(("overrides", "named", "nearest"), REFUSED, ids=lambda case: str(case)[:30])
@pytest.mark.parametrize(
    "start",
    [
        lambda file, overrides: run("training", config_file=file, **overrides),
        lambda file, overrides: create_workflow(config_file=file, **overrides),
        lambda file, overrides: ConfigWorkflow(file, **overrides).initialize(),
    ],
    ids=["run", "create_workflow", "ConfigWorkflow"],
)
def test_refuses_unknown_overrides_and_names_the_nearest(
    config: Path, overrides: dict[str, Any], named: str, nearest: str, start: Callable[[str, dict[str, Any]], Any]
) -> None:
    with pytest.raises(RuntimeError, match="check_overrides") as raised:
        start(str(config), overrides)
    error = input_error(raised.value)
    assert error.where == str(config)
    assert f"{error.found},".startswith(f"unknown override: {named},")
    assert nearest in error.expected


@pytest.mark.parametrize(
    ("overrides", "found", "told"),
    [
        ({"skip": None}, "--skip None, which MONAI ignores", "for no skip connections, use --skip none"),
        ({"epochs": None}, "--epochs None, which MONAI ignores", "null in the config file"),
        ({"weights::dice": None, "epochs": None, "device": "cpu"}, "--weights#dice None, --epochs None", "null in"),
    ],
)
@pytest.mark.parametrize(
    "start",
    [
        lambda file, overrides: run("training", config_file=file, **overrides),
        lambda file, overrides: create_workflow(config_file=file, tracking=None, **overrides),
    ],
    ids=["run", "create_workflow"],
)
def test_refuses_none_which_the_runner_would_leave_out(
    config: Path, overrides: dict[str, Any], found: str, told: str, start: Callable[[str, dict[str, Any]], Any]
) -> None:
    config.write_text(json.dumps({**TRAIN, "skip": "sat"}))
    with pytest.raises(RuntimeError, match="check_overrides") as raised:
        start(str(config), overrides)
    message = str(input_error(raised.value))
    assert message.startswith(f"{config}: found {found}")
    assert told in message


def test_none_as_the_user_types_it(config: Path, warm_start: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    config.write_text(json.dumps({**TRAIN, "skip": "sat"}))
    ended = warm_start("-m", "monai.bundle", "run", "training", "--config_file", config, "--skip", "None")
    assert ended.returncode == 1
    assert "found --skip None, which MONAI ignores" in ended.stderr


def test_names_all_of_them_at_once(config: Path) -> None:
    with pytest.raises(RuntimeError) as raised:
        create_workflow(config_file=str(config), epoch=3, device="cpu", **{"weights#dise": 1, "weights#cee": 1})
    found = input_error(raised.value).found
    assert all(word in found for word in ("overrides", "--epoch", "--weights#dise", "--weights#cee"))
    assert "device" not in found


def test_overlays_count_as_files(config: Path) -> None:
    overlay = config.with_name("evaluate.json")
    overlay.write_text(json.dumps({"extra": 1, "train#trainer#amp": True, "+weights": {"focal": 1.0}}))
    files = [str(config), str(overlay)]
    create_workflow(config_file=files, extra=2, **{"train#trainer#amp": False, "weights#focal": 2})
    ConfigWorkflow(files, extra=2, **{"train#trainer#amp": False, "weights#focal": 2}).initialize()
    with pytest.raises(RuntimeError) as raised:  # without the overlay its keys are unknown
        create_workflow(config_file=str(config), extra=2)
    assert "--extra" in input_error(raised.value).found


def test_files_named_in_an_args_file(config: Path, tmp_path: Path) -> None:
    args = tmp_path / "args.json"
    args.write_text(json.dumps({"config_file": str(config), "epoch": 4}))
    with pytest.raises(RuntimeError) as raised:
        run("training", args_file=str(args))
    assert "--epoch" in input_error(raised.value).found


def test_tracking_adds_its_own_keys(config: Path, tmp_path: Path) -> None:
    tracked = {"bundle_root": str(tmp_path), "save_execute_config": False}
    create_workflow(config_file=str(config), tracking="mlflow", run_name="first", **tracked)
    ConfigWorkflow(str(config), tracking="mlflow", **tracked).initialize()
    own = {"handlers_id": {}, "configs": {"notebook": "a"}}
    create_workflow(config_file=str(config), tracking=own, **tracked)
    with pytest.raises(RuntimeError) as raised:
        create_workflow(config_file=str(config), tracking="mlflow", epoch=3, **tracked)
    assert input_error(raised.value).found == "unknown override: --epoch"


def test_does_nothing_without_a_workflow(config: Path) -> None:
    check_overrides()
    parser = ConfigParser()
    parser.read_config(str(config))
    parser["epoch"] = 3  # as verify_net_in_out does
    assert parser.get_parsed_content("initialize") == [None]


@pytest.mark.slow
def test_a_config_needs_neither_pydantic_nor_yaml() -> None:
    code = (
        "import sys; sys.modules.update(pydantic=None, yaml=None)\n"
        "import pipeline.bundle; pipeline.bundle.check_overrides()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300, cwd=Path(__file__).parents[2])
