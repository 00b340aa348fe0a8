import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from pipeline.bundle.unpack.about import Package, read_about
from pipeline.data.errors import InputError

Make = Callable[..., Path]


def test_what_a_bundle_says_of_itself_and_what_is_here(bundle: Make) -> None:
    about = read_about(bundle(), ["LICENSE", "configs/metadata.json"])
    assert (about.name, about.version, about.task) == ("Spleen", "0.2.0", "Segmentation of the spleen")
    assert (about.licence, about.data_licence, about.intended_use) == ("Apache License", False, "")
    found = {one.name: (one.wanted, one.installed, one.words) for one in about.packages}
    assert found == {
        "monai": ("1.0.0", version("monai"), "newer here"),
        "nibabel": ("99.1", version("nibabel"), "older here"),
        "no-such-package": ("1.0", None, "not installed"),
    }


@pytest.mark.parametrize(
    ("wanted", "installed", "words"),
    [
        ("2.13.0", "2.13.0+cpu", "the same"),
        ("1.4", "1.4.0", "the same"),
        ("1.10.0", "1.9.3", "older here"),
        ("0.9", "1.0.0rc1", "newer here"),
        ("", "1.0", "newer here"),
    ],
)
def test_versions_are_compared_by_their_numbers(wanted: str, installed: str, words: str) -> None:
    assert Package("a", wanted, installed).words == words


def test_optional_packages_of_older_bundles(bundle: Make) -> None:
    metadata = json.dumps(
        {"version": 1, "optional_packages_version": {"einops": "0.7"}, "required_packages_version": []}
    )
    (package,) = read_about(bundle({"configs/metadata.json": metadata}), []).packages
    assert (package.name, package.needed) == ("einops", False)


@pytest.mark.parametrize("content", ["[]", "{", "", "[" * 100_000, b"\xff"])
def test_metadata_that_is_none(bundle: Make, content: str) -> None:
    with pytest.raises(InputError, match=r"configs/metadata\.json"):
        read_about(bundle({"configs/metadata.json": content}), [])


def test_no_more_is_read_than_a_text_has(bundle: Make) -> None:
    folder = bundle({"LICENSE": b" \n" * 40_000 + b"MIT"})
    assert read_about(folder, ["LICENSE"]).licence == "an empty file"
    with pytest.raises(InputError, match="more than 16 MiB"):
        read_about(bundle({"configs/metadata.json": b"{" + b" " * 2**24 + b"}"}), [])


def test_no_metadata(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no readable file"):
        read_about(tmp_path, [])
