import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundle.unpack.judge import ACTING, PLAIN, REACHING
from pipeline.bundle.unpack.scripts import logging_of, own_modules, scripts_of

Make = Callable[..., Path]
LOGGING = """\
[handlers]
keys=a
[handler_a]
class={handler}
args={args}
[formatter_b]
format=%(message)s
"""


def level_of_script(folder: Path, file: str, content: bytes) -> int | None:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content)
    found = scripts_of(folder, [file])
    return found[0].level if found else None


def test_a_script_is_told_with_its_imports_checksum_and_lines(bundle: Make) -> None:
    text = b"import os\nimport numpy as np\nfrom . import net\nfrom .net import a\nimport net\n\nos.system('id')\n"
    folder = bundle({"scripts/run.py": text, "scripts/net.py": "import torch\n"})
    net, run = scripts_of(folder, ["LICENSE", "scripts/net.py", "scripts/run.py"])
    assert (run.file, run.kind, run.size) == ("scripts/run.py", "Python", len(text))
    assert run.sha256 == hashlib.sha256(text).hexdigest()
    assert run.imports == ("net", "numpy", "os")
    assert [(one.level, one.line) for one in run.remarks] == [(ACTING, 7), (REACHING, 1)]
    assert (net.level, net.imports) == (PLAIN, ("torch",))


@pytest.mark.parametrize(
    ("file", "content", "level"),
    [
        ("scripts/a.py", b"x = 1", PLAIN),
        ("scripts/a.py", b"x = = 1", ACTING),
        ("scripts/a.py", b"x = '\0'", ACTING),
        ("scripts/a.py", b"#" * (4 * 2**20 + 1), ACTING),
        ("scripts/a.pyc", b"", ACTING),
        ("docs/start", b"#!/bin/sh\nid", ACTING),
        ("docs/a.ipynb", b"{}", ACTING),
        ("models/lib.dat", b"\x7fELF...", ACTING),
        ("models/table.pkl", b"x", ACTING),
        ("docs/README.md", b"# a", None),
        # With the bundle's folder on Python's path these come before the installed ones.
        ("numpy.py", b"x = 1", ACTING),
        ("torch/__init__.py", b"x = 1", ACTING),
        ("json.py", b"x = 1", ACTING),
        ("scripts/json.py", b"x = 1", REACHING),
        ("scripts/a/json.py", b"x = 1", PLAIN),
    ],
)
def test_programs_are_told_by_name_and_content(tmp_path: Path, file: str, content: bytes, level: int | None) -> None:
    assert level_of_script(tmp_path, file, content) == level


@pytest.mark.parametrize(("array", "level"), [(np.zeros(3), None), (np.array([{}], dtype=object), ACTING)])
def test_arrays_of_objects_are_pickles(tmp_path: Path, array: np.ndarray, level: int | None) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "b.npz", first=np.zeros(2), second=array)
    for file in ("a.npy", "b.npz"):
        assert level_of_script(tmp_path, file, (tmp_path / file).read_bytes()) == level
        assert level_of_script(tmp_path, file, b"PK\x03\x04 and so on") == ACTING


def test_what_becomes_importable() -> None:
    assert own_modules(["scripts/a/b.py", "scripts/__init__.py", "hubconf.py", "docs/README.md", "lib.so"]) == {
        "scripts",
        "a",
        "hubconf",
        "lib",
    }


@pytest.mark.parametrize(
    ("handler", "args", "level"),
    [
        ("StreamHandler", "(sys.stdout,)", PLAIN),
        ("logging.StreamHandler", "()", PLAIN),
        ("FileHandler", "('a.log',)", REACHING),
        ("scripts.Handler", "()", ACTING),
        ("StreamHandler", "(__import__('os').system('id'),)", ACTING),
        ("StreamHandler", "(sys.modules['os'],)", ACTING),
        ("StreamHandler", "(", ACTING),
        ("__import__('os').system('id')", "()", ACTING),
    ],
)
def test_what_python_evaluates_in_a_logging_config(tmp_path: Path, handler: str, args: str, level: int) -> None:
    (tmp_path / "logging.conf").write_text(LOGGING.format(handler=handler, args=args))
    found = logging_of(tmp_path, ["logging.conf"])
    assert [one.id for one in found] == ["handler_a#class", "handler_a#args"]
    assert max(one.level for one in found) == level


def test_a_logging_config_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "logging.conf").write_text("no section")
    (found,) = logging_of(tmp_path, ["logging.conf", "LICENSE"])
    assert (found.kind, found.level) == ("unreadable", ACTING)
