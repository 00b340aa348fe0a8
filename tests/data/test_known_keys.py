"""Mistyped keys and columns are errors that name the line and the known key, in every file that a person writes."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.comparison.choose_cases import read_subjects
from pipeline.data import datalist
from pipeline.data.cases import read_cases
from pipeline.data.check import check_cases
from pipeline.data.datalist import training_items
from pipeline.data.dataset import read_dataset
from pipeline.data.errors import InputError
from pipeline.data.input_scans import find_named_scans
from pipeline.data.known_keys import ITEM_KEYS, check_keys, resembled_key
from pipeline.data.layouts.bids import find_bids
from pipeline.data.layouts.msd import find_msd
from pipeline.data.layouts.nnunet import find_nnunet
from pipeline.data.layouts.table import find_table

KNOWN = ("image", "label", "fold", "subject", "training", "modality")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("fold:", "fold"),
        ("Fold", "fold"),
        (" fold", "fold"),
        ("flod", "fold"),
        ("folds", "fold"),
        ("lable", "label"),
        ("labels", "label"),
        ("imge", "image"),
        ("Image ", "image"),
        ("subjet", "subject"),
        ("trainign", "training"),
        ("modalty", "modality"),
        ("modailties", "modality"),
    ],
)
def test_a_mistyped_key_resembles_a_known_one(key, meant):
    assert resembled_key(key, KNOWN) == meant


@pytest.mark.parametrize(
    "key", ["fold", "age", "site", "scanner", "image2", "image_1", "fold_2", "path", "name", "sex"]
)
def test_other_words_resemble_nothing(key):
    assert resembled_key(key, KNOWN) is None


def test_a_key_beside_the_known_one_is_deliberate():
    check_keys({"fold": 0, "folds": 5}, ("fold",), "file")
    with pytest.raises(InputError, match='"folds"'):
        check_keys({"folds": 5}, ("fold",), "file")


def dataset(
    folder: Path, change: str = "", to: str = "", *, test: str = '{"image": "c.png", "label": "d.png"}'
) -> Path:
    for name in "abcd":
        Image.fromarray(np.arange(9, dtype=np.uint8).reshape(3, 3) % 2).save(folder / f"{name}.png")
    text = (
        '{\n "modality": {"0": "picture"},\n "labels": {"background": 0, "cell": 1},\n "training": [\n'
        '  {"image": "a.png", "label": "b.png", "fold": 0},\n'
        '  {"image": "c.png", "label": "d.png", "fold": 1}\n ],\n "test": [\n  ' + test + "\n ]\n}\n"
    )
    file = folder / "dataset.json"
    assert change in text
    file.write_text(text.replace(change, to, 1), encoding="utf-8")
    return file


READERS = {
    "training": training_items,
    "cases": lambda file: read_cases(file, file.parent, fold=0, part="training"),
    "dataset": read_dataset,
    "layout": find_msd,
    "scans": lambda file: find_named_scans([file], channels=1),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("change", "to", "message"),
    [
        ('"fold": 1', '"fold:": 1', r'the key "fold:" in training\[1\] and line 6.*"fold"'),
        ('"training"', '"trainig"', r'the key "trainig" in line 4.*"training"'),
        ('"labels"', '"lables"', r'the key "lables" in line 3.*"labels"'),
        ('"modality"', '"modalities"', r'the key "modalities" in line 2.*"modality"'),
    ],
)
def test_a_datalist_with_a_mistyped_key_is_refused_by_every_reader(tmp_path, name, change, to, message):
    file = dataset(tmp_path, change, to)
    if name == "scans":
        message = message.replace(r"training\[1\] and line 6", "item 1 and line 6")
    with pytest.raises(InputError, match=message):
        READERS[name](file)


def test_a_sound_datalist_passes_every_reader(tmp_path):
    file = dataset(tmp_path)
    for read in READERS.values():
        read(file)


@pytest.mark.parametrize("read", [datalist.test_items, find_msd])
def test_a_label_map_of_a_test_case_is_not_lost(tmp_path, read):
    file = dataset(tmp_path, test='{"image": "c.png", "labels": "d.png"}')
    with pytest.raises(InputError, match=r'"labels" in test\[0\] and line 9.*"label"'):
        read(file)


@pytest.mark.parametrize("column", ["Folds", "fold:", "flod"])
def test_a_table_names_the_column(tmp_path, column):
    (tmp_path / "cases.csv").write_text(f"image,label,{column},site\na.png,b.png,0,x\n")
    with pytest.raises(InputError, match=rf'the key "{column.lower()}" in line 1.*"fold"'):
        find_table(tmp_path / "cases.csv")


def test_a_table_may_have_columns_of_its_own(tmp_path):
    (tmp_path / "cases.csv").write_text("image,label,path,age,fold_2\na.png,b.png,x,30,1\n")
    assert find_table(tmp_path / "cases.csv").training[0].columns == {"path": "x", "age": "30", "fold_2": "1"}


def test_a_participants_table_names_the_column(tmp_path):
    (tmp_path / "participants.tsv").write_text("participant-id\tage\nsub-1\t30\n")
    for name in ("T1w", "label-x_dseg"):
        (tmp_path / "sub-1" / "anat").mkdir(parents=True, exist_ok=True)
        (tmp_path / "sub-1" / "anat" / f"sub-1_{name}.nii.gz").touch()
    with pytest.raises(InputError, match=r'participants\.tsv: found the key "participant-id" in line 1'):
        find_bids(tmp_path)


def test_nnunets_description_names_the_key(tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps({"channel_name": {"0": "CT"}, "labels": {"background": 0}}))
    with pytest.raises(InputError, match=r'"channel_name" in line 1.*"channel_names"'):
        find_nnunet(tmp_path)


def test_a_table_of_subjects_names_the_column(tmp_path):
    (tmp_path / "subjects.csv").write_text("case,subjekt\na,1\n")
    with pytest.raises(InputError, match=r'"subjekt" in line 1.*"subject"'):
        read_subjects(str(tmp_path / "subjects.csv"), ["a"])


def test_ten_thousand_items_take_little_time():
    start = time.process_time()
    for number in range(10_000):
        check_keys({"image": 1, "label": 2, "fold": number, "site": 3}, KNOWN, "file", place=f"training[{number}]")
    assert time.process_time() - start < 2


def test_the_check_before_training_refuses_it_too(tmp_path):
    file = dataset(tmp_path, '"fold": 1', '"fold:": 1')
    cases = [{"image": str(tmp_path / "a.png"), "label": str(tmp_path / "b.png")}]
    with pytest.raises(InputError, match='"fold:"'):
        check_cases(cases, labels=None, spatial_dims=2, datalist=file)


@pytest.mark.parametrize(
    ("key", "meant"),
    [("anotated", "annotated"), ("Annotated", "annotated"), ("annotator", None), ("annotations", None)],
)
def test_keys_about_annotation_are_told_apart(key, meant):
    assert resembled_key(key, ITEM_KEYS) == meant


@pytest.mark.parametrize(
    ("key", "meant"), [("region", "regions"), ("ignored", "ignore"), ("regions_order", "region_order")]
)
def test_mistyped_keys_about_labels_are_refused(tmp_path, key, meant):
    file = tmp_path / "d.json"
    file.write_text(f'{{"{key}": 1, "training": [{{"image": "a", "label": "b", "fold": 0}}]}}')
    with pytest.raises(InputError, match=f'the key "{key}" in line 1, which is not read; expected "{meant}"'):
        datalist.training_items(file)
