import re
import sys
from pathlib import Path

import monai
import numpy as np
import pytest
import torch

from pipeline.training.code_text import code_text, digest, library_text


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_module.py").write_text("import os\nfrom my_helper import scaled\nimport torch\n")
    (tmp_path / "my_helper.py").write_text("FACTOR = 2\n")
    (tmp_path / "my_package" / "inner").mkdir(parents=True)
    (tmp_path / "my_package" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (tmp_path / "my_package" / "inner" / "deep.py").write_text("A = 1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("my_module", "my_module.py"),
        ("my_module", "my_helper.py"),
        ("my_package.inner", "my_package/inner/deep.py"),
        ("my_package.inner", "my_package/__init__.py"),
    ],
)
def test_a_changed_file_of_an_own_module_is_noticed(modules: Path, name: str, file: str) -> None:
    before = code_text([name])
    assert code_text([name]) == before
    (modules / file).write_text((modules / file).read_text() + "B = 1\n")
    assert code_text([name]) != before
    assert not {"my_module", "my_package"} & set(sys.modules)


def test_a_new_file_of_an_own_package_is_noticed(modules: Path) -> None:
    before = code_text(["my_package"])
    (modules / "my_package" / "new.py").write_text("")
    assert code_text(["my_package"]) != before


def test_libraries_count_by_their_version_and_python_by_none(modules: Path) -> None:
    lines = code_text(["my_module", "monai.transforms", "os.path", "no_such_module"]).splitlines()
    assert [line.split()[0] for line in lines] == ["monai", "my_helper", "my_module", "no_such_module", "torch"]
    assert lines[0] == f"monai {monai.__version__}"
    assert re.fullmatch(r"my_helper sha256 [0-9a-f]{64}", lines[1])


def test_the_libraries_under_every_transform_are_named() -> None:
    text = library_text()
    assert f"torch {torch.__version__}" in text
    assert f"numpy {np.__version__}" in text
    assert "track_meta True" in text


def test_a_digest_is_a_file_name() -> None:
    assert re.fullmatch("[0-9a-f]{32}", digest("any text, \udcff too"))
    assert digest("a") != digest("b")
