"""The texts of a plan, and the texts that a person fills in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.bundle.planning.describe import TO_FILL_IN, describe
from pipeline.bundle.planning.fingerprint import make_fingerprint
from pipeline.data.dataset import Dataset
from pipeline.networks import VNet

Make = Callable[..., dict[str, Any]]
Datasets = Callable[..., Dataset]


def words(
    folder: Path, make_report: Make, make_dataset: Datasets, *, labels: int = 2, skip: Any = "sat", **entries: Any
) -> Any:
    report = make_report(labels={"background": 0} | {f"organ{number}": number for number in range(1, labels)})
    return describe(
        "my_bundle", make_dataset(folder, report, **entries), make_fingerprint(report), "MRI", network=VNet, skip=skip
    )


def test_what_the_datalist_says_is_taken(tmp_path: Path, make_report: Make, make_dataset: Datasets) -> None:
    said = words(
        tmp_path, make_report, make_dataset, reference="A hospital", licence=" CC-BY-4.0 ", citation="Someone 2020"
    )
    assert said.head["title"] == "Organs in MRI"
    assert said.head["task"] == "3D segmentation of organ1 in MRI"
    assert said.head["references"][-1] == "Someone 2020"
    assert said.data["source"] == "A hospital"
    assert said.data["licence"].value == "CC-BY-4.0"
    assert said.to_fill_in == ["authors", "copyright", "intended_use"]
    assert all(TO_FILL_IN in said.head[key] for key in said.to_fill_in)


@pytest.mark.parametrize("licence", [None, "", "  "])
def test_a_missing_licence_is_left_to_fill_in(
    licence: str | None, tmp_path: Path, make_report: Make, make_dataset: Datasets
) -> None:
    said = words(tmp_path, make_report, make_dataset, licence=licence)
    assert "data.licence" in said.to_fill_in
    assert said.data["licence"].value.startswith(TO_FILL_IN)


def test_many_labels_are_counted(tmp_path: Path, make_report: Make, make_dataset: Datasets) -> None:
    said = words(tmp_path, make_report, make_dataset, labels=21)
    assert said.head["task"] == "3D segmentation of organ1, organ2, organ3, organ4, organ5, organ6 and 14 more in MRI"


@pytest.mark.parametrize("name", ["dataset", None])
def test_a_dataset_without_a_name_has_the_bundles(
    name: str | None, tmp_path: Path, make_report: Make, make_dataset: Datasets
) -> None:
    title = words(tmp_path, make_report, make_dataset, name=name).head["title"]
    # The datalist's own file is called list.json.
    assert title == ("my bundle in MRI" if name else "list in MRI")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("two\nlines\t of  text", "two lines of text"),
        ("$100 set", "100 set"),
        ("@x", "x"),
        ("%y", "y"),
        ("bell\x07", "bell"),
    ],
)
def test_a_title_is_one_line_and_nothing_that_monai_runs(
    name: str, title: str, tmp_path: Path, make_report: Make, make_dataset: Datasets
) -> None:
    said = words(tmp_path, make_report, make_dataset, name=name, reference=name)
    assert said.head["title"] == f"{title} in MRI"
    assert said.data["source"] == title


def test_nothing_else_that_a_datalist_says_breaks_it(tmp_path: Path, make_report: Make, make_dataset: Datasets) -> None:
    said = words(
        tmp_path,
        make_report,
        make_dataset,
        reference={"hospital": ["a", 1]},
        licence=["MIT"],
        citation=[{"doi": 1}, "B"],
    )
    assert "hospital" in said.data["source"]
    assert said.head["references"][-1] == "B"
