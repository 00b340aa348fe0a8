from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.bundle.at_hand.find import find_bundle, list_bundles
from pipeline.bundle.at_hand.imported import remember_import
from pipeline.data.errors import InputError

Make = Callable[..., Path]


def listed() -> list[tuple[str, str, bool]]:
    return [(one.name, one.source, one.taken) for one in list_bundles()]


def test_a_shipped_bundle_is_found_by_its_name(package: Path) -> None:
    assert find_bundle("spleen") == package / "bundles" / "spleen"
    assert find_bundle(Path("liver")) == package / "bundles" / "liver"
    assert listed() == [("liver", "shipped", True), ("spleen", "shipped", True)]


def test_the_order_of_places(package: Path, tmp_path: Path, make_bundle: Make) -> None:
    remember_import(make_bundle(tmp_path / "elsewhere" / "spleen"))
    make_bundle(Path("bundles/spleen"))
    # A path, shipped, of `lightskip plan`, imported: the first that there is.
    assert find_bundle("spleen") == package / "bundles" / "spleen"
    assert listed() == [
        ("liver", "shipped", True),
        ("spleen", "shipped", True),
        ("spleen", "working directory", False),
        ("spleen", "imported", False),
    ]
    make_bundle(Path("spleen"))
    assert find_bundle("spleen") == Path("spleen")
    assert [(str(one.folder), one.taken) for one in list_bundles() if one.name == "spleen"] == [
        (str(package / "bundles" / "spleen"), False),
        ("spleen", True),
        ("bundles/spleen", False),
        (str(tmp_path / "elsewhere" / "spleen"), False),
    ]


@pytest.mark.usefixtures("package")
def test_the_last_import_of_a_name_is_taken(tmp_path: Path, make_bundle: Make) -> None:
    for place in ("first", "second"):
        remember_import(make_bundle(tmp_path / place / "kidney"))
    assert find_bundle("kidney") == tmp_path / "second" / "kidney"
    assert [(one.folder.parent.name, one.taken) for one in list_bundles() if one.name == "kidney"] == [
        ("second", True),
        ("first", False),
    ]


@pytest.mark.usefixtures("package")
def test_a_bundle_that_was_imported_here_is_listed_once_as_imported(make_bundle: Make) -> None:
    remember_import(make_bundle(Path("kidney")))
    assert listed()[2:] == [("kidney", "imported", True)]


@pytest.mark.usefixtures("package")
def test_bundles_of_runs_are_listed_with_their_path(make_bundle: Make) -> None:
    for run in ("spleen", "liver", "other"):
        make_bundle(Path(run) / "bundle")
        if run != "other":
            (Path(run) / "fit.json").touch()
    found = [(one.name, one.source, one.folder, one.taken) for one in list_bundles() if one.name.endswith("bundle")]
    assert found == [(f"{run}/bundle", "working directory", Path(run, "bundle"), True) for run in ("liver", "spleen")]
    assert all(find_bundle(name) == folder for name, _, folder, _ in found)


def test_the_working_directory_may_be_the_shipped_folder(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(package)
    assert listed() == [("liver", "shipped", True), ("spleen", "shipped", True)]
    monkeypatch.chdir(package / "bundles")
    assert listed() == [("liver", "shipped", True), ("spleen", "shipped", True)]


def test_a_folder_of_results_with_the_name_of_a_bundle_does_not_hide_it(package: Path) -> None:
    Path("spleen").mkdir()
    assert find_bundle("spleen") == package / "bundles" / "spleen"


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("path", ["work/spleen", "/nowhere/spleen", ".", "..", "./x/y"])
def test_a_path_is_left_to_the_verb(path: str) -> None:
    assert find_bundle(path) == Path(path)


@pytest.mark.usefixtures("package")
def test_a_folder_that_is_no_bundle_is_left_to_the_verb() -> None:
    Path("scans").mkdir()
    assert find_bundle("scans") == Path("scans")


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("splen", "did you mean spleen?"),
        ("Liver", "did you mean liver?"),
        ("scanz", "did you mean scans?"),
        ("hippocampus", "list what is at hand: lightskip bundles."),
    ],
)
def test_an_unknown_name_lists_the_nearest(name: str, remedy: str) -> None:
    Path("scans").mkdir()
    with pytest.raises(InputError) as caught:
        find_bundle(name)
    assert str(caught.value) == (
        f"{name}: found no such folder, and no bundle of this name; expected a bundle's folder, or the name of one: "
        f"liver, spleen. What to do: {remedy}"
    )


@pytest.mark.usefixtures("package")
def test_hidden_folders_and_files_are_no_bundles(make_bundle: Make) -> None:
    make_bundle(Path(".hidden"))
    Path("file").write_text("")
    assert len(listed()) == 2


def test_a_plan_without_configs_is_a_bundle(package: Path, make_bundle: Make) -> None:
    (package / "bundles" / "new").mkdir()
    (package / "bundles" / "new" / "plan.yaml").write_text("name: new\n")
    assert find_bundle("new") == package / "bundles" / "new"
