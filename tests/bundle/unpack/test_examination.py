from collections.abc import Callable
from pathlib import Path

from pipeline.bundle.unpack.examination import examine

Make = Callable[..., Path]


def test_a_folder_is_looked_at_whole_and_its_links_are_told(bundle: Make, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("x")
    folder = bundle({"models/model.pt": "", ".git/config": "x", "scripts/a.py": "x = 1"})
    (folder / "docs").mkdir()
    (folder / "docs" / "link.txt").symlink_to("../../outside.txt")
    (folder / "docs" / "within.txt").symlink_to("../LICENSE")
    (folder / "up").symlink_to("..")
    (folder / "round").symlink_to("round")
    found = examine(folder, source=folder, name="spleen")
    assert [file for file, _ in found.files] == [
        "LICENSE",
        "configs/inference.json",
        "configs/metadata.json",
        "docs/link.txt",
        "docs/within.txt",
        "models/model.pt",
        "scripts/a.py",
    ]
    assert sorted(found.odd) == [
        ".git: not examined",
        "docs/link.txt: a link to ../../outside.txt, outside the bundle",
        "docs/within.txt: a link to ../LICENSE",
        "round: a link to round",
        "up: a link to .., outside the bundle",
    ]
    assert found.problems == ["models/model.pt: an empty file"]


def test_what_is_listed_and_not_there(bundle: Make) -> None:
    large = "large_files:\n- {path: models/model.pt, url: https://x, hash_val: '', hash_type: ''}\n"
    folder = bundle({"large_files.yml": large, "docs/checksums.sha256": f"{'0' * 64}  LICENSE\n"})
    found = examine(folder, source=folder, name="spleen")
    assert found.to_download == ["models/model.pt"]
    assert found.problems == ["LICENSE: differs (docs/checksums.sha256)"]
