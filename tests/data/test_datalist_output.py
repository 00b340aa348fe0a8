from pathlib import Path

import pytest

from pipeline.data.datalist_output import check_output, check_output_is_new
from pipeline.data.errors import InputError
from pipeline.data.layouts.found import Found, Item


@pytest.mark.parametrize(
    ("output", "source", "message"),
    [
        (".", None, "found a folder; .*-o datalist.json"),
        ("folder", None, "found a folder; .*-o folder/datalist.json"),
        ("cases.csv", "cases.csv", "a file of the dataset"),
        ("folder/../cases.csv", "cases.csv", "a file of the dataset"),
    ],
)
def test_a_folder_and_the_source_are_no_place_for_a_datalist(tmp_path, monkeypatch, output, source, message):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("cases.csv").touch()
    with pytest.raises(InputError, match=message):
        check_output(Path(output), source and Path(source))
    check_output(Path("new.json"), Path("cases.csv"))


@pytest.mark.parametrize("name", ["dataset.json", "image.mha", "label.mha", "mask.mha", "test.mha"])
def test_no_file_of_the_dataset_is_replaced(tmp_path, name):
    files = {one: tmp_path / f"{one}.mha" for one in ("image", "label", "mask", "test")}
    item = Item((files["image"],), files["label"], masks={"liver": files["mask"]})
    found = Found(tmp_path / "dataset.json", tmp_path, [item], [Item((files["test"],))])
    check_output_is_new(tmp_path / name, found)
    (tmp_path / name).touch()
    with pytest.raises(InputError, match="a file of the dataset, which the datalist would replace"):
        check_output_is_new(tmp_path / name, found)
    (tmp_path / "other.json").touch()
    check_output_is_new(tmp_path / "other.json", found)
