"""A disk that is full at any file that `lightskip fit` itself writes: one error, and the next start ends the run."""

import errno
from pathlib import Path

import pytest

from pipeline import files
from pipeline.disk import DiskError

from .conftest import FakeVerbs, Start


class Disk:
    """Counts the files that are written. The one at `full_at` finds no room."""

    def __init__(self) -> None:
        self.files, self.full_at = 0, 0

    def reach(self, file: Path) -> None:
        self.files += 1
        if self.files == self.full_at:
            raise OSError(errno.ENOSPC, "No space left on device", str(file))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(files, "_reach_disk", disk.reach)
    return disk


@pytest.mark.parametrize("folds", ["0", "all"])
def test_a_full_disk_at_each_of_its_files(start: Start, disk: Disk, folds: str) -> None:
    expected = start(folds=folds, output=Path("undisturbed"))
    total = disk.files
    assert expected.status == 0
    assert total > len(expected.kinds)
    for number in range(1, total + 1):
        verbs, output = FakeVerbs(), Path(f"run_{number}")
        disk.files, disk.full_at = 0, number
        with pytest.raises(DiskError) as raised:
            start(verbs, folds=folds, output=output)
        assert Path(str(raised.value.filename)).is_relative_to(output)
        assert [path for path in output.rglob(".*") if path.name != ".fit.lock"] == []
        disk.full_at = 0
        again = start(verbs, folds=folds, output=output)
        assert again.status == 0
        # Of the steps at most the one whose end was not recorded ran twice.
        assert [kind for kind in expected.kinds if kind not in verbs.kinds] == []
        assert len(verbs.kinds) <= len(expected.kinds) + 1
