"""Trainings in a real MLflow with a local database; skipped without it. `make test-mlflow` installs it."""

import csv
from pathlib import Path

import pytest
from ignite.engine import Events

from pipeline.training import MLFlowTracking

mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: make test-mlflow has it")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store/mlflow.db"


@pytest.fixture
def make_tracking(tmp_path: Path, store: str):
    def make(**changed):
        settings = {
            "tracking_uri": store,
            "experiment_name": "shapes",
            "run_name": "fold_0",
            "parameters": {"batch": 2, "network": {"name": "vnet", "channels": [2, 4]}, "epochs": 3},
            "draw": draw,
            "files": [tmp_path / "plan.yaml", tmp_path / "missing.yaml"],
        }
        (tmp_path / "plan.yaml").write_text("name: shapes\n")
        return MLFlowTracking(tmp_path, **settings | changed)

    return make


def draw(folder: Path, output: Path) -> list[Path]:
    assert (folder / "history.csv").is_file()
    (output / "curve.png").write_bytes(b"a picture")
    return [output / "curve.png"]


def runs_of(store: str) -> list:
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("shapes")
    return client.search_runs(experiment.experiment_id, order_by=["attributes.start_time"])


def history_of(store: str, run, name: str) -> list[tuple[int, float]]:
    return [(each.step, each.value) for each in mlflow.MlflowClient(store).get_metric_history(run.info.run_id, name)]


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def interrupt_in(trainer, epoch: int) -> None:
    def interrupt(engine):
        if engine.state.epoch == epoch:
            raise KeyboardInterrupt

    trainer.add_event_handler(Events.ITERATION_COMPLETED, interrupt)


def test_a_run_has_parameters_metrics_and_files(make_training, make_tracking, store, tmp_path: Path) -> None:
    make_training(epochs=3, interval=2, tracking=make_tracking()).trainer.run()
    [run] = runs_of(store)
    assert (run.info.run_name, run.info.status) == ("fold_0", "FINISHED")
    expected = {"batch": "2", "network.name": "vnet", "network.channels": "[2, 4]", "epochs": "3"}
    assert expected.items() <= run.data.params.items()
    # The same numbers as in history.csv, at the same epochs: the validations are those of epoch 2.
    for name in ("train_loss", "learning_rate", "val_mean_dice", "val_dice_small", "val_dice_large"):
        there = [(int(row["epoch"]), float(row[name])) for row in rows_of(tmp_path) if row[name]]
        assert history_of(store, run, name) == there
    assert len(history_of(store, run, "train_loss")) == 3
    assert len(history_of(store, run, "val_dice_small")) == 1
    client = mlflow.MlflowClient(store)
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert names == {"history.csv", "training.json", "plan.yaml", "curve.png"}
    copied = Path(client.download_artifacts(run.info.run_id, "history.csv"))
    assert copied.read_text() == (tmp_path / "history.csv").read_text()


def test_an_interrupted_training_continues_its_run(make_training, make_tracking, store, tmp_path: Path) -> None:
    first = make_training(epochs=4, tracking=make_tracking())
    interrupt_in(first.trainer, 3)
    with pytest.raises(KeyboardInterrupt):
        first.trainer.run()
    [run] = runs_of(store)
    assert run.info.status == "KILLED"
    later = make_tracking(resume=True, parameters={"batch": 2, "epochs": 4, "clock": "wall"})
    make_training(epochs=4, resume=True, longer="stretch", tracking=later).trainer.run()
    [resumed] = runs_of(store)
    assert resumed.info.run_id == run.info.run_id
    assert resumed.info.status == "FINISHED"
    assert [step for step, _ in history_of(store, resumed, "train_loss")] == [1, 2, 3, 4]
    # MLflow's parameters do not change; a changed one is a tag.
    assert (resumed.data.params["epochs"], resumed.data.tags["resumed.epochs"]) == ("3", "4")
    assert resumed.data.params["clock"] == "wall"


def test_a_finished_training_with_more_epochs_continues_its_run(make_training, make_tracking, store) -> None:
    make_training(epochs=1, tracking=make_tracking()).trainer.run()
    make_training(epochs=2, resume=True, longer="stretch", tracking=make_tracking(resume=True)).trainer.run()
    [run] = runs_of(store)
    assert run.info.status == "FINISHED"
    assert [step for step, _ in history_of(store, run, "train_loss")] == [1, 2]


def test_a_new_training_in_the_same_folder_is_a_new_run(make_training, make_tracking, store, tmp_path: Path) -> None:
    first = make_training(epochs=3, tracking=make_tracking())
    interrupt_in(first.trainer, 2)
    with pytest.raises(KeyboardInterrupt):
        first.trainer.run()
    make_training(epochs=1, tracking=make_tracking()).trainer.run()
    assert [run.info.status for run in runs_of(store)] == ["KILLED", "FINISHED"]
    assert (tmp_path / "previous_1" / "mlflow.json").is_file()


def test_a_resume_without_a_run_starts_one_with_all_epochs(make_training, make_tracking, store) -> None:
    make_training(epochs=2).trainer.run()
    make_training(epochs=3, resume=True, longer="stretch", tracking=make_tracking(resume=True)).trainer.run()
    [run] = runs_of(store)
    assert [step for step, _ in history_of(store, run, "train_loss")] == [1, 2, 3]


def test_an_error_is_a_failed_run_and_stays_an_error(make_training, make_tracking, store) -> None:
    training = make_training(epochs=2, tracking=make_tracking())

    def fail(_engine):
        raise ValueError("out of luck")

    training.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=4), fail)
    with pytest.raises(ValueError, match="out of luck"):
        training.trainer.run()
    [run] = runs_of(store)
    assert run.info.status == "FAILED"


def test_names_that_mlflow_refuses_are_changed(make_training, make_tracking, store) -> None:
    parameters = {"labels": {"left & right": 1}, "long": "x" * 7000}
    make_training(epochs=1, tracking=make_tracking(parameters=parameters)).trainer.run()
    [run] = runs_of(store)
    assert run.data.params["labels.left _ right"] == "1"
    assert run.data.params["long"] == "x" * 6000
