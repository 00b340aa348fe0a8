import io
import json
import zipfile
from pathlib import Path

import pytest

from pipeline.cli import main

METADATA = json.dumps({"version": "0.1.0", "task": "Segmentation"})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("download.zip", "w") as opened:
        opened.writestr("spleen/configs/metadata.json", METADATA)
        opened.writestr("spleen/configs/inference.json", json.dumps({"a": "$os.system('id')"}))
        opened.writestr("spleen/LICENSE", "Apache License Version 2.0")
    return Path("download.zip")


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    ("words", "answer", "status", "there", "said"),
    [
        ("", None, 2, False, "add --yes"),
        ("", "n\n", 2, False, "nothing was unpacked"),
        ("", "\n", 2, False, "nothing was unpacked"),
        ("", "y\n", 0, True, "[y/N]"),
        ("--yes", None, 0, True, ""),
        ("--list", None, 0, False, ""),
        ("--list --yes", None, 0, False, ""),
    ],
)
def test_import_lists_first_and_unpacks_when_agreed(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    answer: str | None,
    status: int,
    there: bool,
    said: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO() if answer is None else Terminal(answer))
    assert main(["import", "download.zip", *words.split()]) == status
    out, err = capsys.readouterr()
    assert "   $os.system('id')    [configs/inference.json a]" in out
    assert Path("spleen").is_dir() is there
    assert (f"next: cd {Path('spleen').absolute()} && python -m monai.bundle run --config_file" in out) is there
    assert said in err


@pytest.mark.usefixtures("archive")
def test_import_writes_the_list_as_json_and_tells_what_is_to_be_downloaded(capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile("download.zip", "a") as opened:
        opened.writestr("spleen/large_files.yml", "large_files:\n- {path: models/model.pt, url: https://x}\n")
    assert main(["import", "download.zip", "-o", "a b", "--yes", "--json", "list.json"]) == 0
    assert json.loads(Path("list.json").read_text())["texts"][0]["text"] == "$os.system('id')"
    out = capsys.readouterr().out
    assert f"first: python -m monai.bundle download_large_files --bundle_path '{Path('a b').absolute()}'" in out
    assert f"then check what was downloaded: lightskip import '{Path('a b').absolute()}' --list" in out


@pytest.mark.usefixtures("archive")
def test_import_unpacks_nothing_where_the_list_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "download.zip", "--yes", "--json", "."]) == 2
    assert "found is a directory" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["download.zip"]


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("download.zip", "-o jo"),
        ("./download.zip", "--list"),
        ("link.zip", "-o jo"),
        ("jo/list.json", "-o jo"),
        ("jo", "-o jo"),
        ("spleen/list.json", ""),
    ],
)
def test_import_lets_the_list_take_no_other_place(capsys: pytest.CaptureFixture[str], place: str, words: str) -> None:
    Path("link.zip").symlink_to("download.zip")
    before = Path("download.zip").read_bytes()
    assert main(["import", "download.zip", "--yes", *words.split(), "--json", place]) == 2
    assert "name a file elsewhere" in capsys.readouterr().err
    assert Path("download.zip").read_bytes() == before
    assert not {"jo", "spleen"} & {path.name for path in Path().iterdir()}


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("word", ["--yes", "--list"])
def test_import_lists_what_it_refuses(capsys: pytest.CaptureFixture[str], word: str) -> None:
    with zipfile.ZipFile("download.zip", "a") as opened:
        opened.writestr("spleen/docs/checksums.sha256", f"{'0' * 64}  LICENSE\n")
    assert main(["import", "download.zip", word]) == 2
    out, err = capsys.readouterr()
    assert "!! LICENSE: differs" in out
    assert err.startswith("error: download.zip: found LICENSE: differs")
    assert not Path("spleen").exists()


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(("size", "status"), [("1GB", 0), ("0.00005MB", 2), ("0.00001MB", 2)])
def test_import_takes_a_limit(size: str, status: int) -> None:
    assert main(["import", "download.zip", "--list", "--max-size", size]) == status


@pytest.mark.parametrize("size", ["5", "GB", "0GB", "5 apples", "9" * 400 + "GB", "1001TB"])
def test_import_refuses_what_is_no_size(capsys: pytest.CaptureFixture[str], size: str) -> None:
    with pytest.raises(SystemExit):
        main(["import", "a.zip", "--max-size", size])
    assert "with its unit" in capsys.readouterr().err


@pytest.mark.usefixtures("archive")
def test_push_lists_without_uploading(capsys: pytest.CaptureFixture[str]) -> None:
    main(["import", "download.zip", "--yes"])
    capsys.readouterr()
    assert main(["push", "spleen", "--repo", "me/spleen", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "spleen 0.1.0 to https://huggingface.co/me/spleen" in out
    assert out.endswith("dry run: nothing was uploaded\n")


@pytest.mark.parametrize(("words", "private"), [([], True), (["--private"], True), (["--public"], False)])
def test_push_passes_its_options_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], private: bool
) -> None:
    given = []
    monkeypatch.setattr("pipeline.bundle.push.plan.plan_push", lambda *args, **named: given.append((args, named)))
    monkeypatch.setattr("pipeline.bundle.push.plan.push_text", lambda _: "what goes")
    monkeypatch.setattr("pipeline.bundle.push.hub.push", lambda _: "https://hub/x")
    assert main(["push", "b", "--repo", "o/n", "--message", "m", *words]) == 0
    assert given == [((Path("b"), "o/n"), {"private": private, "message": "m"})]
    assert capsys.readouterr().out == "what goes\nuploaded: https://hub/x\n"
