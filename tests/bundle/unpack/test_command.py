import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.bundle.unpack.command import open_bundle
from pipeline.data.errors import InputError

Make = Callable[..., Path]


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_bundle_appears_whole_and_only_when_it_is_placed(zipped: Make, tmp_path: Path) -> None:
    archive, target = zipped(), tmp_path / "new" / "deep" / "spleen"
    with open_bundle(archive, output=target) as found:
        assert not target.parent.exists()
        assert found.examination.problems == []
        assert found.place() == target
    assert entries(target) == ["LICENSE", "configs"]
    # As any new folder, and not closed to others as temporary ones are.
    (tmp_path / "plain").mkdir()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    assert entries(tmp_path) == ["download.zip", "new", "plain"]


def test_the_default_place_is_the_bundles_name_here(
    zipped: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_bundle(zipped()) as found:
        assert found.target == tmp_path / "spleen"


@pytest.mark.parametrize("root", ["monai/", "json/", ".hidden/"])
def test_a_name_that_means_something_is_not_taken_by_itself(
    zipped: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    monkeypatch.chdir(tmp_path)
    archive = zipped(root=root)
    with pytest.raises(InputError, match="choose another folder with -o"), open_bundle(archive):
        pass
    with open_bundle(archive, output=tmp_path / "mine") as found:
        assert found.examination.problems == []


def test_a_bundle_that_is_a_module_gets_no_modules_name(zipped: Make, tmp_path: Path) -> None:
    archive = zipped({"spleen/__init__.py": ""})
    with (
        pytest.raises(InputError, match="the name of the module monai"),
        open_bundle(archive, output=tmp_path / "monai"),
    ):
        pass
    with open_bundle(archive, output=tmp_path / "mine"):
        pass


def test_a_path_that_is_too_long_is_told_by_the_users_own_name(zipped: Make, tmp_path: Path) -> None:
    archive = zipped({"spleen/" + "a" * 200 + ("/" + "b" * 200) * 20: "x"})
    with pytest.raises(OSError, match="too long") as raised, open_bundle(archive, output=tmp_path / "mine"):
        pass
    assert str(raised.value.filename).startswith(str(tmp_path / "mine"))
    assert entries(tmp_path) == ["download.zip"]


def test_what_is_not_agreed_to_leaves_nothing(zipped: Make, tmp_path: Path) -> None:
    archive = zipped()
    with open_bundle(archive, output=tmp_path / "a" / "b"):
        pass
    with pytest.raises(KeyboardInterrupt), open_bundle(archive, output=tmp_path / "a" / "b"):
        raise KeyboardInterrupt
    assert entries(tmp_path) == ["download.zip"]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"spleen/models/model.pt": "no weights"}, "not loaded with weights_only=True"),
        ({"spleen/docs/checksums.sha256": f"{'0' * 64}  LICENSE\n"}, "LICENSE: differs"),
        ({"spleen/large_files.yml": "large_files:\n- path: ../../x\n"}, "paths within the bundle"),
    ],
)
def test_what_is_refused_leaves_nothing(zipped: Make, tmp_path: Path, more: dict[str, str], found: str) -> None:
    archive = zipped(more)
    with pytest.raises(InputError, match=found), open_bundle(archive, output=tmp_path / "a" / "b") as one:
        one.place()
    assert entries(tmp_path) == ["download.zip"]


def test_a_damaged_zip_leaves_nothing(zipped: Make, tmp_path: Path) -> None:
    archive = zipped({"spleen/zeros": bytes(100_000)})
    content = bytearray(archive.read_bytes())
    place = content.index(b"spleen/zeros") + len("spleen/zeros") + 5
    content[place : place + 20] = b"x" * 20
    archive.write_bytes(bytes(content))
    with pytest.raises(InputError, match="a damaged zip"), open_bundle(archive, output=tmp_path / "a"):
        pass
    assert entries(tmp_path) == ["download.zip"]


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_there_is_neither_replaced_nor_mixed_with(zipped: Make, tmp_path: Path, kind: str) -> None:
    archive, target = zipped(), tmp_path / "spleen"
    if kind == "link":
        target.symlink_to(tmp_path / "nowhere")
    elif kind == "file":
        target.write_text("mine")
    else:
        target.mkdir()
    with pytest.raises(InputError, match="an existing file or folder"), open_bundle(archive, output=target):
        pass
    assert entries(tmp_path) == ["download.zip", "spleen"]


def test_what_came_meanwhile_is_not_replaced(zipped: Make, tmp_path: Path) -> None:
    with open_bundle(zipped(), output=tmp_path / "b") as found:
        (tmp_path / "b").mkdir()
        with pytest.raises(InputError, match="an existing file or folder"):
            found.place()
    assert entries(tmp_path) == ["b", "download.zip"]


def test_a_place_that_cannot_be_written_is_told_by_its_own_name(
    zipped: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    archive = zipped()
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionError) as raised, open_bundle(archive, output=tmp_path / "a"):
        pass
    assert raised.value.filename == str(tmp_path / "a")


def test_a_look_unpacks_where_temporary_files_go(zipped: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, scratch = zipped(), tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with open_bundle(archive, look=True) as found:
        assert found.target is None
        assert entries(scratch) == [found.folder.parent.name]
        with pytest.raises(ValueError, match="no target folder"):
            found.place()
    assert entries(scratch) == []


def test_a_folder_is_only_looked_at(bundle: Make) -> None:
    folder = bundle()
    with open_bundle(folder) as found:
        assert (found.folder, found.target, found.examination.name) == (folder, None, "spleen")
    assert entries(folder) == ["LICENSE", "configs"]
    with pytest.raises(InputError, match=r"a folder without configs/metadata\.json"), open_bundle(folder / "configs"):
        pass
    with pytest.raises(InputError, match="a folder, with -o"), open_bundle(folder, output=folder / "x"):
        pass
