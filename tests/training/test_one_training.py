import json
import os
from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.data.one_at_a_time import TRAINING_LOCK
from pipeline.locks import hold_lock, is_locked
from pipeline.training.one_training import TrainingLock


def test_a_second_training_is_refused_and_changes_nothing(make_training, tmp_path):
    training = make_training(epochs=1)
    (tmp_path / "last.pt").write_bytes(b"the first one's")
    with (
        hold_lock(tmp_path / TRAINING_LOCK, verb="lightskip train"),
        pytest.raises(InputError, match=f"another lightskip train at work in it: process {os.getpid()} on"),
    ):
        training.trainer.run()
    assert (tmp_path / "last.pt").read_bytes() == b"the first one's"


def test_the_lock_ends_with_the_training_and_a_killed_ones_is_taken_over(make_training, tmp_path, caplog):
    training = make_training(epochs=1)
    killed = {"verb": "lightskip train", "host": "h", "pid": 7, "started": "t", "place": "p", "start": 1}
    (tmp_path / TRAINING_LOCK).write_text(json.dumps(killed))
    held = []
    training.trainer.add_event_handler("EPOCH_COMPLETED", lambda: held.append(is_locked(tmp_path / TRAINING_LOCK)))
    with caplog.at_level("INFO"):
        training.trainer.run()
    assert "lightskip train (process 7 on h, since t) did not come to its end; this one takes its place" in caplog.text
    assert held == [True]
    assert not (tmp_path / TRAINING_LOCK).exists()


def test_ranks_of_one_training_do_not_refuse_each_other(make_training, tmp_path):
    training = make_training(epochs=1)
    training.trainer.state.rank = 1
    with hold_lock(tmp_path / TRAINING_LOCK, verb="lightskip train"):
        training.trainer.run()


def test_a_folder_that_cannot_be_made_is_an_error_for_users(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="--ckpt_dir"):
        TrainingLock(tmp_path / "file" / "run").take()
    (tmp_path / TRAINING_LOCK).mkdir()
    with pytest.raises(InputError, match=r"\.training\.lock: found a folder"):
        TrainingLock(tmp_path).take()
