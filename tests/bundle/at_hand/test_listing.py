import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.bundle.at_hand.find import list_bundles
from pipeline.bundle.at_hand.listing import bundles_json, bundles_text

Make = Callable[..., Path]


def test_the_shipped_bundles_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts = bundles_text(list_bundles()).split("\n\n")
    paragraphs = {text.partition(" ")[0]: text.splitlines() for text in texts}
    assert list(paragraphs) == ["em_membrane", "hippocampus_mri", "left_right", "synthetic_shapes"]
    assert paragraphs["hippocampus_mri"][:7] == [
        "hippocampus_mri 0.3.0 (shipped)",
        "  task     Segmentation of the anterior and posterior hippocampus in T1-weighted MRI",
        "  labels   anterior, posterior",
        "  scans    MRI, at 1 x 1 x 1 mm",
        "  Dice     0.895 (anterior 0.904, posterior 0.886, 42 cases; docs/results/summary.json)",
        "  weights  its own",
        "  licence  CC-BY-SA-4.0 (training data)",
    ]
    assert paragraphs["em_membrane"][3] == "  scans    EM, at 1 x 1 px"
    assert "2 channels (synthetic A, synthetic B), at 1.05 x 1.05 x 4.685 mm" in paragraphs["left_right"][3]
    assert paragraphs["left_right"][4].endswith("; of weights that are not in the bundle)")
    assert paragraphs["synthetic_shapes"][4:6] == ["  Dice     not measured", "  weights  none: train it first"]


@pytest.mark.usefixtures("package")
def test_of_two_with_one_name_it_says_which_is_taken(make_bundle: Make) -> None:
    make_bundle(Path("spleen"))
    heads = [line for line in bundles_text(list_bundles()).splitlines() if not line.startswith(" ")]
    assert list(filter(None, heads)) == [
        "liver 0.2.0 (shipped)",
        "spleen 0.2.0 (shipped; the name means another one: use the path)",
        "spleen 0.2.0 (working directory; the name means this one)",
    ]


def test_the_list_for_programs(package: Path) -> None:
    bundles = json.loads(bundles_json(list_bundles()))["bundles"]
    assert [one["folder"] for one in bundles] == [str(package / "bundles" / name) for name in ("liver", "spleen")]
    assert bundles[0] == {
        "name": "liver",
        "source": "shipped",
        "folder": str(package / "bundles" / "liver"),
        "taken": True,
        "title": "Spleen in CT",
        "version": "0.2.0",
        "task": "Segmentation of the spleen",
        "labels": {},
        "regions": {},
        "modality": None,
        "channels": [],
        "spacing_mm": None,
        "spacing": None,
        "unit": "mm",
        "dice": None,
        "licence": None,
        "weights": None,
        "trainings": [],
        "not_validated": [],
        "problem": "no configs/inference.json",
    }


@pytest.mark.usefixtures("package")
def test_names_of_strangers_cannot_move_the_cursor(make_bundle: Make) -> None:
    make_bundle(Path("x"), {"configs/metadata.json": {"task": "\x1b[2Jgone\nlightskip", "version": "\x07"}})
    text = bundles_text(list_bundles())
    assert "\x1b" not in text
    assert "\x07" not in text
    assert r"\x1b[2Jgone\nlightskip" in text


def test_no_bundles_is_a_sentence() -> None:
    assert bundles_text([]).startswith("no bundles")
    assert json.loads(bundles_json([])) == {"bundles": []}
