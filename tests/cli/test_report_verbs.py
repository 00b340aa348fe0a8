from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.report import report_page


def test_report_passes_its_options_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    given: list[Any] = []

    def record(*args: Any, **named: Any) -> list[str]:
        given.append((args, named))
        return ["a note"]

    monkeypatch.setattr(report_page, "write_report", record)
    words = "folder -o r.html --images i --probe p --pictures 7 --no-viewer --memory 2GB"
    assert main(["report", *words.split()]) == 0
    assert capsys.readouterr() == ("r.html\n", "note: a note\n")
    assert main(["report", "folder", "-o", "r.html"]) == 0
    files = (Path("folder"), Path("r.html"))
    assert given == [
        (files, {"images": Path("i"), "probe": Path("p"), "pictures": 7, "viewer": False, "memory": 2 * 10**9}),
        (files, {"images": None, "probe": None, "pictures": 50, "viewer": True, "memory": None}),
    ]


def test_report_takes_a_bundle_by_its_name_unless_a_folder_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sources: list[Path] = []
    monkeypatch.setattr(report_page, "write_report", lambda source, *_, **__: sources.append(source) or [])
    (tmp_path / "bundles" / "mine").mkdir(parents=True)
    (tmp_path / "bundles" / "mine" / "plan.yaml").write_text("name: mine\n")
    assert main(["report", "mine", "-o", "r.html"]) == 0
    (tmp_path / "mine").mkdir()
    assert main(["report", "mine", "-o", "r.html"]) == 0
    assert sources == [Path("bundles/mine"), Path("mine")]
    capsys.readouterr()
    assert main(["report", "yours", "-o", "r.html"]) == 2
    assert "yours: found no such folder, and no bundle of this name" in capsys.readouterr().err


def test_a_mistake_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path), "-o", str(tmp_path / "r.html")]) == 2
    assert "found an empty folder; expected the folder that lightskip compare" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path), "-o", "r.html", "--pictures", "-1"])
