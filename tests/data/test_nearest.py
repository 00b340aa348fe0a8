from pathlib import Path

from pipeline.data.nearest import nearest_path


def test_the_most_similar_name_beside_it(tmp_path: Path) -> None:
    for name in ("hippocampus_001.nii.gz", "hippocampus_011.nii.gz", "notes.txt", ".hippocampus_01.nii.gz"):
        (tmp_path / name).touch()
    assert nearest_path(tmp_path / "hipocampus_011.nii.gz") == tmp_path / "hippocampus_011.nii.gz"
    assert nearest_path(str(tmp_path / "note.txt")) == tmp_path / "notes.txt"


def test_nothing_similar(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert nearest_path(tmp_path / "scan.nii.gz") is None
    assert nearest_path(tmp_path / "no folder" / "notes.txt") is None
