import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

FILES: Mapping[str, str | bytes] = {
    "configs/metadata.json": json.dumps({"name": "Spleen", "version": "0.2.0"}),
    "configs/inference.json": json.dumps({"network_def": {"_target_": "scripts.networks.VNet"}}),
    "scripts/__init__.py": "",
    "models/model.pt": b"PK\0\0",
    "docs/README.md": "# Spleen\n",
    "LICENSE": "Apache License\nVersion 2.0\n",
}


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., Path]:
    """Makes an exported bundle's folder; what is None is left out of it."""

    def make(changed: Mapping[str, str | bytes | None] | None = None) -> Path:
        for name, content in {**FILES, **(changed or {})}.items():
            if content is not None:
                file = tmp_path / "spleen" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / "spleen"

    return make
