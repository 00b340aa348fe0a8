import hashlib
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundle.unpack.scripts import Script, list_scripts

Make = Callable[..., Path]


def read_script(folder: Path, file: str, content: bytes) -> Script | None:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content)
    found = list_scripts(folder, [file])
    return found[0] if found else None


def test_a_script_is_listed_with_its_lines_imports_and_checksum(bundle: Make) -> None:
    text = b"import os.path\nimport numpy as np\nfrom . import net\nfrom .net import a\nimport net\n\nos.system('id')\n"
    folder = bundle({"scripts/run.py": text, "scripts/net.py": "import torch"})
    net, run = list_scripts(folder, ["LICENSE", "scripts/net.py", "scripts/run.py"])
    assert (run.file, run.kind, run.size, run.lines) == ("scripts/run.py", "Python", len(text), 7)
    assert run.sha256 == hashlib.sha256(text).hexdigest()
    assert (run.imports, run.notes) == (("net", "numpy", "os"), ())
    assert (net.lines, net.imports) == (1, ("torch",))


@pytest.mark.parametrize(
    ("file", "content", "kind"),
    [
        ("scripts/a.py", b"x = 1", "Python"),
        ("scripts/a.pyc", b"", "compiled Python"),
        ("docs/start", b"#!/bin/sh\nid", "a script that the system can start"),
        ("docs/a.ipynb", b"{}", "a notebook"),
        ("models/lib.dat", b"\x7fELF...", "machine code"),
        ("models/table.pkl", b"x", "a pickle"),
        ("docs/README.md", b"# a", None),
        (".vscode/tasks.json", b"{}", "settings of a tool"),
        ("docs/.ENVRC", b"", "settings of a tool"),
        # Pickles are recognised by their first bytes, not their name.
        ("models/weights.bin", pickle.dumps({}, protocol=2), "a pickle"),
        ("docs/table.dat", pickle.dumps({}, protocol=5), "a pickle"),
        ("docs/table", pickle.dumps(os.getcwd, protocol=0), "a pickle"),
        ("docs/notes.txt", b"cos\nsystem\n(S'id'\ntR.", "a pickle"),
        ("docs/notes.txt", b"I1\n0(S'id'\nios\nsystem\n.", "a pickle"),
        ("docs/notes.txt", b"import a\nfrom b\n", None),
        ("docs/notes.txt", b"configs\nand models\n", None),
        ("docs/empty", b"", None),
    ],
)
def test_programs_are_found_by_name_and_content(tmp_path: Path, file: str, content: bytes, kind: str | None) -> None:
    found = read_script(tmp_path, file, content)
    assert (found is None) == (kind is None)
    assert found is None or found.kind.startswith(str(kind))


@pytest.mark.parametrize(
    ("file", "note"),
    [
        # With the bundle's folder on Python's path these come before the installed ones.
        ("numpy.py", "can be imported instead of the installed module numpy"),
        ("torch/__init__.py", "can be imported instead of the installed module torch"),
        ("json.py", "can be imported instead of the installed module json"),
        ("scripts/json.py", "can be imported instead of the installed module json"),
        ("json.cpython-311-x86_64-linux-gnu.so", "can be imported instead of the installed module json"),
        ("scripts/a/json.py", None),
        ("torch/other.py", None),
        ("mine.py", None),
        ("__init__.py", "can be imported instead of the module with the name of the bundle's folder"),
    ],
)
def test_a_module_that_takes_the_place_of_another_is_noted(tmp_path: Path, file: str, note: str | None) -> None:
    found = read_script(tmp_path, file, b"x = 1")
    assert found is not None
    assert found.notes == (() if note is None else (note,))


@pytest.mark.parametrize(
    ("content", "lines", "note"),
    [
        (b"x = = 1", 1, "not valid Python (SyntaxError)"),
        (b"x = '\0'", None, "not valid Python"),
        (b"(" * 500, 1, "not valid Python"),
        (b"#" * (4 * 2**20 + 1), None, "more than 4 MiB"),
    ],
)
def test_what_cannot_be_read_as_python_is_noted(tmp_path: Path, content: bytes, lines: int | None, note: str) -> None:
    found = read_script(tmp_path, "scripts/a.py", content)
    assert found is not None
    assert (found.lines, found.imports) == (lines, ())
    assert found.notes[0].startswith(note)


@pytest.mark.parametrize(("array", "listed"), [(np.zeros(3), False), (np.array([{}], dtype=object), True)])
def test_arrays_of_objects_are_pickles(tmp_path: Path, array: np.ndarray, listed: bool) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "b.npz", first=np.zeros(2), second=array)
    for file in ("a.npy", "b.npz"):
        assert (read_script(tmp_path, file, (tmp_path / file).read_bytes()) is not None) is listed
        assert read_script(tmp_path, file, b"PK\x03\x04 and so on") is not None


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
    assert read_script(tmp_path, file, content) is not None
