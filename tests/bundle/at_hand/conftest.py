import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.bundle.at_hand import shipped

Make = Callable[..., Path]
METADATA: dict[str, Any] = {"name": "Spleen in CT", "version": "0.2.0", "task": "Segmentation of the spleen"}


@pytest.fixture
def make_bundle() -> Make:
    """Make a bundle's folder with these files; a text or a value for JSON each."""

    def make(folder: Path, files: dict[str, Any] | None = None) -> Path:
        for name, content in {"configs/metadata.json": METADATA, **(files or {})}.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content if isinstance(content, str) else json.dumps(content))
        return folder

    return make


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_bundle: Make) -> Path:
    """A package as a wheel installs it, with two bundles; an empty working directory; nothing imported."""
    package = tmp_path / "site-packages" / "pipeline"
    for name in ("liver", "spleen"):
        make_bundle(package / "bundles" / name)
    monkeypatch.setattr(shipped, "_PACKAGE", package)
    monkeypatch.setenv("LIGHTSKIP_DATA", str(tmp_path / "data"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return package
