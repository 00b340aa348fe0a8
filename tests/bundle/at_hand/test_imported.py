import json
from pathlib import Path

import pytest

from pipeline.bundle.at_hand.imported import data_folder, list_imported, remember_import


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTSKIP_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def make_folders(parent: Path, names: str) -> list[Path]:
    folders = [parent / name for name in names]
    for folder in folders:
        folder.mkdir()
    return folders


def test_the_last_import_comes_first_and_each_once(tmp_path: Path) -> None:
    a, b, c = make_folders(tmp_path, "abc")
    assert [remember_import(folder) for folder in (a, b, a, c)] == [""] * 4
    assert list_imported() == [c, a, b]


def test_a_folder_that_is_gone_is_left_out(tmp_path: Path) -> None:
    a, b = make_folders(tmp_path, "ab")
    remember_import(a)
    remember_import(b)
    a.rmdir()
    assert list_imported() == [b]


def test_a_relative_folder_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [a] = make_folders(tmp_path, "a")
    monkeypatch.chdir(tmp_path)
    remember_import(Path("a"))
    monkeypatch.chdir("/")
    assert list_imported() == [a]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"folders": 3}', '{"folders": [1, null, "\\u0000"]}', "[" * 100_000], ids=range(6)
)
def test_a_damaged_list_counts_as_empty_and_is_replaced(tmp_path: Path, data: Path, text: str) -> None:
    data.mkdir()
    (data / "imported.json").write_text(text)
    assert list_imported() == []
    [a] = make_folders(tmp_path, "a")
    assert remember_import(a) == ""
    assert json.loads((data / "imported.json").read_text()) == {"folders": [str(a)]}


def test_a_list_that_cannot_be_written_is_a_note(tmp_path: Path, data: Path) -> None:
    data.write_text("a file, where the folder should be")
    note = remember_import(tmp_path)
    assert str(data / "imported.json") in note
    assert "name the bundle by its path" in note


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LIGHTSKIP_DATA": "/x/y"}, "/x/y"),
        ({"XDG_DATA_HOME": "/x"}, "/x/lightskip"),
        ({"HOME": "/home/me"}, "/home/me/.local/share/lightskip"),
    ],
)
def test_the_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    for name in ("LIGHTSKIP_DATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert data_folder() == Path(expected)
