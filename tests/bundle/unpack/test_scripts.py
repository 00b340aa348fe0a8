import hashlib
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundle.unpack.judge import ACTING, PLAIN, REACHING
from pipeline.bundle.unpack.scripts import own_modules, scripts_of

Make = Callable[..., Path]


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
        ("__init__.py", b"", REACHING),
        (".vscode/tasks.json", b"{}", ACTING),
        ("docs/.ENVRC", b"", ACTING),
        # A pickle is one by its first bytes, whatever it is called.
        ("models/weights.bin", pickle.dumps({}, protocol=2), ACTING),
        ("docs/table.dat", pickle.dumps({}, protocol=5), ACTING),
        ("docs/table", pickle.dumps(os.getcwd, protocol=0), ACTING),
        ("docs/notes.txt", b"cos\nsystem\n(S'id'\ntR.", ACTING),
        ("docs/notes.txt", b"I1\n0(S'id'\nios\nsystem\n.", ACTING),
        ("docs/notes.txt", b"import a\nfrom b\n", None),
        ("docs/notes.txt", b"configs\nand models\n", None),
        ("docs/empty", b"", None),
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


def zip_of(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        opened.writestr(name, content)
    return stream.getvalue()


def array_of(value: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, value)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        # NumPy goes by the first bytes of the file, and of each member.
        ("a.npy", array_of(np.array([{}])) + zip_of("b.npy", array_of(np.zeros(3)))),
        ("a.npz", zip_of("b", array_of(np.array([{}])))),
        ("a.npz", zip_of("b.txt", pickle.dumps({}))),
        ("a.dat", zip_of("b", pickle.dumps({}))),
        ("a.npy", pickle.dumps({})),
        ("a.npy", b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\x7f" + b"{"),
        ("a.npy", b"\x93NUMPY\x01\x00" + b"\x10\x00" + b"{" * 16),
        ("a.npz", zip_of("b.npy", array_of(np.zeros(3)))[:-30]),
    ],
)
def test_pickles_in_arrays_clothes(tmp_path: Path, file: str, content: bytes) -> None:
    assert level_of_script(tmp_path, file, content) == ACTING


def test_what_becomes_importable() -> None:
    assert own_modules(["scripts/a/b.py", "scripts/__init__.py", "hubconf.py", "docs/README.md", "lib.so"]) == {
        "scripts",
        "a",
        "hubconf",
        "lib",
    }
