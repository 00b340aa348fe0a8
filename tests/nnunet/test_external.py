import runpy
from pathlib import Path

import pytest

from pipeline.nnunet import EXTERNAL_FOLDER


def test_the_folder_for_nnunet_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_module("pipeline.nnunet", run_name="__main__")
    assert Path(capsys.readouterr().out.strip()) == EXTERNAL_FOLDER


def test_the_folder_has_one_module_and_is_no_package() -> None:
    # nnU-Net imports every module in the folder, without its package.
    assert [path.name for path in EXTERNAL_FOLDER.glob("*.py")] == ["lightskip_trainers.py"]
