"""One prediction at a time writes to an output; shards share one."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.prediction.output_lock import lock_output
from pipeline.prediction.request import Request
from pipeline.prediction.shards import Shard


def ask(output: Path, shard: str = "") -> Request:
    return Request(Path("bundle"), [], output, shard=Shard.parse(shard) if shard else None)


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        ("", "", True),
        ("", "1/2", True),
        ("1/2", "", True),
        ("1/2", "1/2", True),
        ("1/2", "2/2", False),
    ],
    ids=["two", "shard beside all", "all beside shard", "one shard twice", "two shards"],
)
def test_who_may_write_to_one_folder(first: str, second: str, refused: bool, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with lock_output(ask(output, first)), ExitStack() as stack:
        if refused:
            with pytest.raises(InputError, match=r"another lightskip predict.* at work in it: process "):
                stack.enter_context(lock_output(ask(output, second)))
        else:
            stack.enter_context(lock_output(ask(output, second)))
    assert list(output.iterdir()) == []
    with lock_output(ask(output, second)):
        pass


def test_files_in_one_folder_have_locks_of_their_own(tmp_path: Path) -> None:
    with (
        lock_output(ask(tmp_path / "a.nii.gz")),
        lock_output(ask(tmp_path / "b.nii.gz")),
        pytest.raises(InputError, match=r"a\.nii\.gz: found another"),
        lock_output(ask(tmp_path / "a.nii.gz")),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_processes_of_one_start_do_not_refuse_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with lock_output(ask(tmp_path)):
        monkeypatch.setenv("RANK", "1")
        with lock_output(ask(tmp_path)):
            pass
