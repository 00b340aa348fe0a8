from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pipeline.export.export import ExportResult
from pipeline.export.summary import summary_text

SIZES = {"model.pt": 6_400_000, "model.ts": 1_250_000, "model.onnx": 40_000}


@pytest.fixture
def made(tmp_path: Path) -> ExportResult:
    models = tmp_path / "out" / "phantom" / "models"
    models.mkdir(parents=True)
    for name, size in SIZES.items():
        (models / name).write_bytes(bytes(size))
    (models.parent / "LICENSE").write_bytes(bytes(10_000))
    (models / "model.json").write_bytes(bytes(1_000))
    archive = tmp_path / "out" / "phantom_v1.0.0.zip"
    archive.write_bytes(bytes(3_000_000))
    return ExportResult(models.parent, archive, {1: (5, 32), 0: (16, 16)}, {"model.ts": 3.21e-6})


def test_sizes_differences_and_what_was_pruned(made):
    lines = summary_text(made).splitlines()
    # 6.4 + 1.25 + 0.04 + 0.01 + 0.001 MB.
    assert lines[0] == f"{made.folder}: 5 files, 7.7 MB"
    assert [" ".join(line.split()) for line in lines[1:5]] == [
        "models/model.json 0.0 MB",
        "models/model.onnx 0.0 MB not compared: its runtime is not installed",
        "models/model.pt 6.4 MB",
        "models/model.ts 1.2 MB logits within 3.2e-06 of PyTorch's",
    ]
    assert lines[5] == f"{made.archive}: 3.0 MB"
    assert lines[6].startswith("pruned: 16 of 16 channels of the skip at level 0 ")
    assert lines[7].startswith("pruned: 5 of 32 channels of the skip at level 1 ")


def test_next_command_can_be_copied(made, monkeypatch):
    last = summary_text(made).splitlines()[-1]
    words = shlex.split(last.removeprefix("next: "))
    assert words[:5] == ["python", "-m", "monai.bundle", "run", "--config_file"]
    assert words[5] == str(made.folder / "configs" / "inference.json")
    # As near as the shell sees it.
    monkeypatch.chdir(made.folder.parent)
    assert summary_text(made).splitlines()[0].startswith("phantom: ")
    assert " phantom/configs/inference.json " in summary_text(made)


def test_less_is_said_where_less_was_made(made):
    text = summary_text(ExportResult(made.folder, None, {}))
    assert "zip" not in text
    assert "pruned" not in text
