import copy
import csv
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pipeline.training.progress import Progress

COLUMNS = [
    "epoch",
    "train_loss",
    "val_mean_dice",
    "val_dice_small",
    "val_dice_large",
    "learning_rate",
    "seconds",
    "elapsed_seconds",
    "samples_seen",
]
LEARNING_RATES = [0.001, 0.01, 0.005]  # a tenth to warm up, the full rate, half of the cosine


@pytest.fixture
def history(tmp_path):
    def read():
        with (tmp_path / "history.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    return read


def column(rows, name):
    return [float(row[name]) for row in rows]


def soft_dice_and_cross_entropy(logits, label):
    """``1 - Dice`` of the soft masks, mean over samples and classes, plus the cross-entropy: DiceCELoss by hand."""
    probability = torch.softmax(logits, 1)
    truth = F.one_hot(label[:, 0].long(), 3).movedim(-1, 1)
    intersection = (probability * truth).sum((2, 3))
    dice = (2 * intersection + 1e-5) / (probability.sum((2, 3)) + truth.sum((2, 3)) + 1e-5)
    cross_entropy = -(truth * torch.log(probability)).sum(1).mean()
    return (1 - dice).mean() + cross_entropy


def dice_per_label(network, cases):
    with torch.no_grad():
        predicted = np.stack([network.eval()(case["image"][None])[0].argmax(0).numpy() for case in cases])
    truth = np.stack([case["label"][0].numpy() for case in cases])
    dice = []
    for value in (1, 2):
        found, wanted = predicted == value, truth == value
        dice.append(np.mean(2 * (found & wanted).sum((1, 2)) / (found.sum((1, 2)) + wanted.sum((1, 2)))))
    return dice


def train_in_plain_pytorch(network, train_cases, val_cases, epochs):
    """The same training as a loop. Return rows of train_loss, Dice of the small and Dice of the large label."""
    optimizer = torch.optim.AdamW(network.parameters())
    rows = []
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = LEARNING_RATES[epoch]
        losses = []
        for start in range(0, len(train_cases), 2):
            batch = train_cases[start : start + 2]
            image, label = (torch.stack([case[key] for case in batch]) for key in ("image", "label"))
            optimizer.zero_grad()
            loss = soft_dice_and_cross_entropy(network.train()(image), label)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        rows.append([sum(losses) / len(losses), *dice_per_label(network, val_cases)])
    return np.array(rows)


def test_numbers_against_a_plain_loop(make_training, history):
    training = make_training(epochs=3, shuffle=False)
    cases = [engine.data_loader.dataset.data for engine in (training.trainer, training.validator)]
    expected = train_in_plain_pytorch(copy.deepcopy(training.network), *cases, epochs=3)
    training.trainer.run()
    rows = history()
    assert list(rows[0]) == COLUMNS
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    np.testing.assert_allclose(column(rows, "train_loss"), expected[:, 0], atol=1e-5)
    np.testing.assert_allclose(column(rows, "val_dice_small"), expected[:, 1], atol=1e-6)
    np.testing.assert_allclose(column(rows, "val_dice_large"), expected[:, 2], atol=1e-6)
    np.testing.assert_allclose(column(rows, "val_mean_dice"), expected[:, 1:].mean(1), atol=1e-6)
    assert column(rows, "learning_rate") == pytest.approx(LEARNING_RATES)
    assert [row["samples_seen"] for row in rows] == ["5", "10", "15"]
    np.testing.assert_allclose(column(rows, "elapsed_seconds"), np.cumsum(column(rows, "seconds")), atol=0.02)


def test_no_validation_leaves_its_columns_empty(make_training, history):
    make_training(epochs=4, interval=2).trainer.run()
    validated = [[bool(row[name]) for name in COLUMNS[2:5]] for row in history()]
    assert validated == [[False] * 3, [True] * 3, [False] * 3, [True] * 3]


class BrightIsSmall(torch.nn.Module):
    """Predict the small label for bright voxels, and never the large one."""

    def forward(self, x):
        return torch.cat([x < 0, x > 0, torch.zeros_like(x) > 0], dim=1).float()


def test_a_label_that_is_never_there_has_no_dice_and_leaves_the_mean(make_training, history):
    training = make_training(epochs=1, average=BrightIsSmall())
    for case in training.validator.data_loader.dataset.data:
        case["label"].clamp_(max=1)
    training.trainer.run()
    [row] = history()
    assert row["val_dice_large"] == "nan"
    assert 0 < float(row["val_dice_small"]) < 1
    assert row["val_mean_dice"] == row["val_dice_small"]


def test_a_resume_goes_on_counting_and_drops_what_the_checkpoint_does_not_hold(make_training, history, tmp_path):
    make_training(epochs=2).trainer.run()
    before = history()
    path = tmp_path / "history.csv"
    # 100 s in the second epoch, and a third that was written when the kill came before its checkpoint.
    slow = {**before[1], "seconds": "100.0", "elapsed_seconds": "150.0"}
    lost = {**slow, "epoch": "3", "train_loss": "99", "elapsed_seconds": "900.0", "samples_seen": "900"}
    lines = [",".join(COLUMNS), *(",".join(row.values()) for row in (before[0], slow, lost))]
    path.write_text("\n".join(lines) + "\n")

    make_training(epochs=4, resume=True, longer="stretch").trainer.run()
    rows = history()
    # The column "longer" comes with the change of length.
    assert rows[:2] == [{**row, "longer": ""} for row in (before[0], slow)]
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["samples_seen"] for row in rows] == ["5", "10", "15", "20"]
    assert float(rows[2]["train_loss"]) < 99
    assert float(rows[2]["elapsed_seconds"]) == pytest.approx(150 + float(rows[2]["seconds"]))
    assert float(rows[3]["elapsed_seconds"]) == pytest.approx(150 + sum(column(rows[2:], "seconds")), abs=0.02)


def test_nothing_temporary_is_left(make_training, tmp_path):
    make_training(epochs=2).trainer.run()
    files = ["history.csv", "last.pt", "model.json", "model.pt", "training.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_lines_tell_what_is_best_and_the_time_left(make_training, caplog, tmp_path):
    caplog.set_level(logging.INFO, logger="pipeline.training.progress")
    make_training(epochs=3, planned=[0.5, 0.7, 0.6]).trainer.run()
    # A network without a training finds not all labels.
    messages = [record.getMessage() for record in caplog.records if record.name == "pipeline.training.progress"]
    lines = [message for message in messages if "found" not in message]
    assert lines[0].startswith("training on 5 cases, validating on 2; cpu with ")
    assert [line[: len("epoch 1/3")] for line in lines[1:4]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert "validation Dice 0.7000 (best 0.7000 at epoch 2)" in lines[2]
    assert "validation Dice 0.6000 (best 0.7000 at epoch 2)" in lines[3]
    assert lines[3].endswith("0:00:00 left")
    assert lines[4].startswith("best validation Dice 0.7000 at epoch 2; ")
    assert lines[4].endswith(str(tmp_path))


def warnings_in(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("part", ["trainer", "validator"])
def test_ctrl_c_is_one_line_that_says_how_to_resume(make_training, caplog, tmp_path, part):
    training = make_training(epochs=3)

    def interrupt():
        if training.trainer.state.epoch == 2:
            raise KeyboardInterrupt

    getattr(training, part).add_event_handler("ITERATION_STARTED", interrupt)
    with pytest.raises(KeyboardInterrupt):
        training.trainer.run()
    [line] = [message for message in warnings_in(caplog) if "not found" not in message]
    assert line == (
        f"training interrupted in epoch 2; resume with --resume True (last checkpoint: {tmp_path / 'last.pt'})"
    )


def test_ctrl_c_before_the_first_checkpoint_offers_no_resume(make_training, caplog):
    training = make_training(epochs=3)

    def interrupt():
        raise KeyboardInterrupt

    training.trainer.add_event_handler("ITERATION_STARTED", interrupt)
    with pytest.raises(KeyboardInterrupt):
        training.trainer.run()
    [line] = [message for message in warnings_in(caplog) if "not found" not in message]
    assert line == "training interrupted in epoch 1, before its first checkpoint: start it again"


def test_with_a_time_limit_lines_have_minutes_and_the_history_has_cases(make_training, history, caplog):
    caplog.set_level(logging.INFO, logger="pipeline.training.progress")
    training = make_training(epochs=3, interval=2)

    # As EndInTime sets it.
    def begin(engine):
        engine.state.minutes, engine.state.seconds_before = 15.0, 0.0
        engine.state.seconds_used = 300.0 * engine.state.epoch
        engine.state.is_timed = engine.state.epoch < 3
        engine.state.val_cases = 1

    training.trainer.add_event_handler("EPOCH_STARTED", begin)
    training.trainer.run()
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("epoch ")]
    assert [line.partition("  ")[0] for line in lines] == [
        "epoch 1, 5.0 of 15 min",
        "epoch 2, 10.0 of 15 min",
        "epoch 3/3",
    ]
    assert " on 1 of 2 cases (best " in lines[1]
    assert list(history()[0]) == [*COLUMNS, "val_cases"]
    assert [row["val_cases"] for row in history()] == ["", "1", ""]
    assert column(history(), "elapsed_seconds") == [300, 600, 900]


def test_a_resume_without_the_time_limit_keeps_the_columns(make_training, history):
    training = make_training(epochs=1)

    def begin(engine):
        engine.state.minutes, engine.state.seconds_before = 15.0, 0.0
        engine.state.seconds_used, engine.state.val_cases = 300.0, 2

    training.trainer.add_event_handler("EPOCH_STARTED", begin)
    training.trainer.run()
    make_training(epochs=2, resume=True, longer="stretch").trainer.run()
    assert [row["val_cases"] for row in history()] == ["2", ""]
    assert column(history(), "elapsed_seconds")[1] > 300


def test_another_number_of_threads_than_planned_is_reported(make_training, caplog):
    threads = torch.get_num_threads()
    make_training(epochs=1, planned_threads=threads).trainer.run()
    assert "its plan was timed" not in caplog.text
    make_training(epochs=1, planned_threads=threads + 1).trainer.run()
    assert f"its plan was timed with {threads + 1}: " in caplog.text


def test_threads_are_those_of_all_processes(tmp_path, caplog, monkeypatch):
    """Without the number of processes it said: computes with 1 thread, and its plan was timed with 1."""
    threads = torch.get_num_threads()
    monkeypatch.setattr("pipeline.training.progress.idist.get_world_size", lambda: 2)
    progress = Progress(tmp_path, validator=None, labels={}, per_label_metric="", planned_threads=threads)
    progress._compare_threads(SimpleNamespace(state=SimpleNamespace(device=torch.device("cpu"))))
    assert f"computes with {2 * threads} threads in 2 processes, and its plan was timed with {threads}: " in caplog.text


class NothingFound(torch.nn.Module):
    """Predict the background alone."""

    def forward(self, x):
        return torch.cat([x * 0 + 1, x * 0, x * 0], dim=1)


def test_labels_that_are_not_found_are_reported_in_time_and_at_the_end(make_training, caplog):
    make_training(epochs=6, average=NothingFound()).trainer.run()
    messages = warnings_in(caplog)
    assert len(messages) == 2
    assert messages[0].startswith(
        "not found in any of 2 validation cases after 33% of the training: labels small, large."
    )
    assert messages[1].startswith(
        "the network gives every voxel of 2 validation cases one label, background: its label"
    )


def test_an_error_in_a_step_ends_the_training(make_training):
    # Ignite swallows an exception when a handler listens to it and does not raise it again.
    training = make_training(epochs=2)

    def fail():
        raise RuntimeError("a bug")

    training.trainer.add_event_handler("ITERATION_STARTED", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        training.trainer.run()


def test_a_training_gives_no_warnings(make_training, recwarn):
    make_training(epochs=1).trainer.run()
    make_training(epochs=2, resume=True, longer="stretch").trainer.run()
    assert [str(warning.message) for warning in recwarn] == []
