import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Content = Mapping[str, str | bytes]

METADATA = json.dumps(
    {
        "name": "Spleen",
        "version": "0.2.0",
        "task": "Segmentation of the spleen",
        "monai_version": "1.0.0",
        "required_packages_version": {"nibabel": "99.1", "no-such-package": "1.0"},
    }
)
FILES: Content = {
    "configs/metadata.json": METADATA,
    "configs/inference.json": json.dumps({"imports": ["$import os"], "x": "$@y + 1", "net": {"_target_": "UNet"}}),
    "LICENSE": "\n  Apache License\n",
}


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., Path]:
    """Makes a bundle's folder with more files than the least that one has."""

    def make(more: Content | None = None) -> Path:
        for name, content in {**FILES, **(more or {})}.items():
            file = tmp_path / "spleen" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / "spleen"

    return make


@pytest.fixture
def zipped(tmp_path: Path) -> Callable[..., Path]:
    """Makes a bundle's zip, and adds members that no folder could hold."""

    def make(more: Content | None = None, *, root: str = "spleen/", name: str = "download.zip") -> Path:
        archive = tmp_path / name
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
            for file, content in FILES.items():
                opened.writestr(root + file, content)
            for file, content in (more or {}).items():
                opened.writestr(file, content)
        return archive

    return make
