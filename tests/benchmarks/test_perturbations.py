"""The script draws a picture of a scan, and of the built-in sample, and refuses a missing file."""

import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from perturbations import main
from PIL import Image

from ..probe.conftest import make_scan

WIDTH = 190 + 6 * (132 + 6)


def test_a_picture_and_a_scan_are_drawn(tmp_path: Path) -> None:
    picture, scan, output = tmp_path / "scan.png", tmp_path / "scan.nii.gz", tmp_path / "new" / "out.png"
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(picture)
    nib.save(nib.Nifti1Image(make_scan((10, 12, 12), seed=0), np.diag([2.0, 2.0, 2.0, 1.0])), scan)
    for words in ([str(picture)], [str(scan), "--spacing", "2"]):
        assert main([*words, "-o", str(output)]) == 0
        drawn = Image.open(io.BytesIO(output.read_bytes()))
        assert drawn.size == (WIDTH, 8 * (132 + 22 + 6) + 6)


def test_a_missing_scan_is_named_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.png"), "-o", str(tmp_path / "out.png")]) == 2
    assert "none.png" in "".join(capsys.readouterr())
    assert list(tmp_path.iterdir()) == []
