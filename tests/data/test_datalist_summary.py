from pathlib import Path

from pipeline.data.datalist_summary import format_summary
from pipeline.data.layouts.found import Found


def summarize(datalist, *left_out, path="list.json"):
    text = format_summary(datalist, Found(Path("x"), Path("/data/ct"), [], left_out=left_out), Path(path))
    rows, _, end = text.partition("\n\n")
    return {line[:10].strip(): line[10:] for line in rows.splitlines()}, end


def test_a_summary_has_cases_folds_subjects_channels_and_labels():
    training = [
        {"image": ["a0", "a1"], "label": "a", "fold": 0, "subject": "p1"},
        {"image": ["b0", "b1"], "label": "b", "fold": 1, "subject": "p2"},
        {"image": ["c0", "c1"], "label": "c", "fold": 0, "subject": "p1"},
    ]
    datalist = {
        "name": "Liver",
        "modality": {"0": "CT", "1": "PET"},
        "labels": {"0": "background", "1": "liver"},
        "training": training,
        "test": [{"image": ["d0", "d1"]}],
    }
    rows, end = summarize(datalist, "2 without a label map (e, f)", path="my list.json")
    assert rows == {
        "dataset": "Liver, in /data/ct",
        "cases": "3 training, 1 test",
        "folds": "2, with 2, 1 cases",
        "subjects": "2, and 1 cases without a subject",
        "channels": "CT, PET (2 files per case)",
        "labels": "0 background, 1 liver",
        "left out": "2 without a label map (e, f)",
    }
    assert end == "datalist: my list.json\nnext: lightskip check 'my list.json'"


def test_the_layout_the_regions_and_the_notes_are_shown():
    training = [{"image": "a", "label": "b", "fold": 0}]
    datalist = {"training": training, "regions": {"liver": [1, 3], "vessel": [3]}, "merged": "2 classes"}
    found = Found(Path("x"), Path("/data/ct"), [], layout="KiTS's", notes=["one", "two"])
    text = format_summary(datalist, found, Path("list.json"))
    rows = [(line[:10].strip(), line[10:]) for line in text.partition("\n\n")[0].splitlines()]
    assert rows[1] == ("layout", "KiTS's")
    assert rows[-5:] == [
        ("regions", "liver (1 3), vessel (3)"),
        ("masks", "2 classes"),
        ("left out", "nothing"),
        ("note", "one"),
        ("note", "two"),
    ]


def test_what_a_datalist_does_not_name_is_said():
    rows, _ = summarize({"training": [{"image": "a", "label": "b", "fold": 0}]})
    assert rows["dataset"] == "ct, in /data/ct"
    assert rows["subjects"].startswith("not known")
    assert rows["channels"] == "no names (1 file per case)"
    assert rows["labels"] == "no names"
    assert rows["left out"] == "nothing"
