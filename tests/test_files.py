from pathlib import Path

import pytest

from pipeline.files import whole_file, write_text


def test_a_file_appears_when_its_block_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "new" / "scan.nii.gz"
    with whole_file(target) as temporary:
        # The same folder, or a rename would be a copy; the same ending, or writers choose another format.
        assert temporary.parent == target.parent
        assert temporary.name.endswith(".nii.gz")
        temporary.write_bytes(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("before", [None, "old"])
def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path, before: str | None) -> None:
    target = tmp_path / "report.json"
    if before is not None:
        target.write_text(before)

    def fail() -> None:
        with whole_file(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert [path.read_text() for path in tmp_path.iterdir()] == ([] if before is None else [before])


def test_text_keeps_its_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "µ\r\nb\n")
    assert (tmp_path / "a.csv").read_bytes() == b"\xc2\xb5\r\nb\n"
