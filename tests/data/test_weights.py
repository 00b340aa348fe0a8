"""Files of weights that are there, and those that are not."""

from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.data.weights import require_state, require_weights

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.mark.parametrize("content", [b"weights", b"", b"version 2 of the weights"])
def test_a_file_is_accepted_whatever_is_in_it(content: bytes, tmp_path: Path) -> None:
    # Whether it has weights is another question, which PyTorch answers.
    (tmp_path / "model.pt").write_bytes(content)
    require_weights(tmp_path / "model.pt")


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "model.pt", tmp_path):
        with pytest.raises(InputError, match="no such file") as raised:
            require_weights(path)
        assert raised.value.where == path
        assert "--checkpoint FILE" in raised.value.remedy


def test_a_pointer_of_git_lfs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(POINTER)
    with pytest.raises(InputError, match="a Git-LFS pointer") as raised:
        require_weights(tmp_path / "model.pt")
    assert "git lfs pull" in raised.value.remedy


def test_a_state_to_resume_is_required(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint to resume from") as raised:
        require_state(tmp_path / "last.pt")
    assert raised.value.where == tmp_path / "last.pt"
    (tmp_path / "last.pt").touch()
    require_state(tmp_path / "last.pt")
