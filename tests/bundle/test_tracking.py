"""Where a training is tracked: what LightSkip's command and MONAI's runner take for it."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigWorkflow, create_workflow

from pipeline.bundle import tracking
from pipeline.bundle.launch import prepare
from pipeline.bundle.render import write_rendered
from pipeline.bundle.tracking import replace_tracking_word, require_tracker
from pipeline.data.errors import InputError, input_error_behind

pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["without", "with"])
def packages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let MLflow and the packages of its database be installed, or not."""
    found = object() if request.param == "with" else None
    monkeypatch.setattr(tracking, "find_spec", lambda _name: found)
    return str(request.param)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "shapes").mkdir()
    shutil.copy(REPOSITORY / "bundles" / "synthetic_shapes" / "plan.yaml", tmp_path / "shapes")
    write_rendered(tmp_path / "shapes")
    return tmp_path / "shapes"


def test_mlflow_without_its_packages_is_one_message_with_the_remedy(packages: str) -> None:
    if packages == "with":
        require_tracker("mlflow")
        return
    with pytest.raises(InputError) as raised:
        require_tracker("mlflow")
    message = str(raised.value)
    assert message.startswith("--tracking mlflow: found no package mlflow")
    assert "pip install 'lightskip[mlflow]'" in message


def test_mlflow_without_the_database_packages_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None if name == "alembic" else object())
    with pytest.raises(InputError, match="found no package alembic;"):
        require_tracker("mlflow")


@pytest.mark.parametrize("word", ["wandb", "True", "MLflow"])
def test_another_word_names_the_choices(bundle: Path, word: str) -> None:
    with pytest.raises(InputError, match=f"found {word}; expected one of tensorboard, mlflow, none"):
        prepare("train", bundle, ["--tracking", word, "--dry-run"])


def test_the_word_becomes_a_key_that_the_runner_does_not_take(bundle: Path) -> None:
    launch = prepare("train", bundle, ["--fold", "1", "--tracking", "mlflow", "--dry-run"])
    assert launch.settings == {"fold": "1", "used_tracking": "mlflow"}
    assert launch.command.endswith("--fold 1 --used_tracking mlflow")


def test_the_command_that_continues_has_the_word(bundle: Path) -> None:
    folder = bundle / "runs" / "fold_0"
    folder.mkdir(parents=True)
    (folder / "last.pt").touch()
    launch = prepare("train", bundle, ["--tracking", "none", "--dry-run"])
    assert launch.resume_hint() == f"continue with: lightskip train {bundle} --tracking none --resume True\n"


def test_a_file_with_handlers_of_ones_own_is_left_to_monai(bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    file.write_text(json.dumps({"handlers_id": {}, "configs": {}}))
    for word in (str(file), "{'handlers_id':{},'configs':{}}"):
        assert replace_tracking_word("train", {"tracking": word}, has_key=True, check=True) == {"tracking": word}


def test_an_evaluation_is_not_tracked() -> None:
    with pytest.raises(InputError, match="found mlflow for an evaluation"):
        replace_tracking_word("evaluate", {"tracking": "mlflow"}, has_key=True, check=True)


def test_configs_of_an_earlier_version_say_so() -> None:
    with pytest.raises(InputError, match="lightskip render"):
        replace_tracking_word("train", {"tracking": "none"}, has_key=False, check=True)


def small_config(folder: Path) -> str:
    """Write a config with the keys of the recipe that have to do with tracking, and return its path."""
    config: dict[str, Any] = {
        "imports": ["$from pipeline.bundle import choose_tracking"],
        "bundle_root": str(folder),
        "tracking": "tensorboard",
        "used_tracking": "$choose_tracking(@tracking)",
        "is_not_rank0": True,
        "save_execute_config": False,
        "train": {"trainer": {"_target_": "monai.utils.first", "iterable": "@train#handlers"}, "handlers": []},
        "initialize": ["$@used_tracking"],
        "training": ["$None"],
        "evaluating": ["$None"],
    }
    (folder / "configs").mkdir()
    (folder / "configs" / "train.json").write_text(json.dumps(config))
    (folder / "configs" / "metadata.json").write_text("{}")
    return str(folder / "configs" / "train.json")


@pytest.mark.parametrize(
    ("words", "used"),
    [
        ({}, "tensorboard"),
        ({"tracking": "mlflow"}, "mlflow"),
        ({"used_tracking": "none"}, "none"),
    ],
)
def test_words_of_monais_runner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: dict[str, str], used: str
) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda _name: object())
    workflow = create_workflow(config_file=small_config(tmp_path), run_id="training", **words)
    assert isinstance(workflow, ConfigWorkflow)
    assert workflow.parser.get_parsed_content("used_tracking") == used
    # MONAI's own handlers are there for mlflow, and do nothing.
    handlers = [handler for handler in workflow.parser.get_parsed_content("train#handlers") if handler is not None]
    assert handlers == []


def test_the_runner_tracks_no_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda _name: object())
    with pytest.raises(RuntimeError) as raised:
        create_workflow(config_file=small_config(tmp_path), run_id="evaluating", tracking="mlflow")
    assert "for an evaluation" in str(input_error_behind(raised.value))


def test_the_runner_without_the_packages(tmp_path: Path) -> None:
    if importlib.util.find_spec("mlflow") is not None:
        pytest.skip("MLflow is installed")
    with pytest.raises(RuntimeError) as raised:
        create_workflow(config_file=small_config(tmp_path), run_id="training", tracking="mlflow")
    assert "pip install" in str(input_error_behind(raised.value))
