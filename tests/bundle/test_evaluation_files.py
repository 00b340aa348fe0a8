from pathlib import Path

import pytest

from pipeline.bundle.evaluation_files import require_results
from pipeline.data.errors import InputError


@pytest.mark.parametrize("lost", ["", "cases.csv", "summary.json", "maps/b_seg.nii.gz"])
def test_an_evaluation_that_has_lost_a_file_is_none(lost: str, tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    for name in ("cases.csv", "maps/a_seg.nii.gz", "maps/b_seg.nii.gz", "maps/.hidden"):
        (tmp_path / name).touch()
    (tmp_path / "summary.json").write_text('{"cases": 2}')
    if not lost:
        require_results(tmp_path, maps)
        require_results(tmp_path, None)
        return
    (tmp_path / lost).unlink()
    with pytest.raises(InputError, match=lost.partition("/")[0]):
        require_results(tmp_path, maps)
