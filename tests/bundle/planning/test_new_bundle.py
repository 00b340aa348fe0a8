"""A new bundle is written completely or not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.bundle.planning import new_bundle
from pipeline.bundle.planning.make_plan import PlannedBundle, make_plan
from pipeline.bundle.planning.new_bundle import require_new, write_bundle
from pipeline.bundle.planning.resources import Resources
from pipeline.bundle.render import check_rendered
from pipeline.data.dataset import Dataset
from pipeline.data.errors import InputError

FILES = {
    "LICENSE",
    "plan.yaml",
    "docs/README.md",
    "docs/data_license.txt",
    "configs/datalist.json",
    "configs/evaluate.json",
    "configs/inference.json",
    "configs/logging.conf",
    "configs/metadata.json",
    "configs/multi_gpu_train.json",
    "configs/train.json",
}


@pytest.fixture
def planned(
    tmp_path: Path,
    make_report: Callable[..., dict[str, Any]],
    make_dataset: Callable[..., Dataset],
    steady: Callable[..., Resources],
) -> PlannedBundle:
    report = make_report(labels={"background": 0, "a|b": 1})
    resources = steady(memory=8 * 10**9, device="cpu")
    dataset = make_dataset(tmp_path, report, licence=None)
    return make_plan(dataset, report, "new", tmp_path / "bundles" / "new", resources=resources)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tmp_path / "bundles" / "new"


def test_a_bundle_has_all_its_files(bundle: Path, planned: PlannedBundle) -> None:
    written = write_bundle(bundle, planned)
    assert {path.relative_to(bundle).as_posix() for path in written} == FILES
    assert {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()} == FILES
    assert check_rendered(bundle) == {}
    assert [path.name for path in bundle.parent.iterdir()] == ["new"]


def test_documents_say_what_is_in_the_plan_and_what_is_missing(bundle: Path, planned: PlannedBundle) -> None:
    write_bundle(bundle, planned)
    readme = (bundle / "docs" / "README.md").read_text()
    assert "10 training cases in 5 folds, spacing 1 x 1 x 1 mm, shape 40 x 50 x 36 voxels" in readme
    # A bar within a table's cell is escaped; 3 % of 72,000 voxels are 2.16 ml.
    assert "| a\\|b | 1 | 10 of 10 | 2.16 ml |" in readme
    assert "Licence: TO FILL IN: the licence of the data." in readme
    assert "TO FILL IN: the licence of the data" in (bundle / "docs" / "data_license.txt").read_text()
    assert "licence: 'TO FILL IN: the licence of the data'" in (bundle / "plan.yaml").read_text()


def test_an_empty_folder_is_as_good_as_none(bundle: Path, planned: PlannedBundle) -> None:
    bundle.mkdir(parents=True)
    assert len(write_bundle(bundle, planned)) == len(FILES)


@pytest.mark.parametrize("as_file", [True, False])
def test_what_is_there_is_not_overwritten(as_file: bool, bundle: Path, planned: PlannedBundle) -> None:
    mine = bundle if as_file else bundle / "plan.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    for refused in (lambda: require_new(bundle), lambda: write_bundle(bundle, planned)):
        with pytest.raises(InputError, match="not overwritten"):
            refused()
    assert mine.read_text() == "mine"
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name if as_file else "new"]


@pytest.mark.parametrize("failing", ["write_rendered", "copyfile", "replace", "interrupted"])
def test_nothing_is_left_where_the_disk_is_full(
    failing: str, bundle: Path, planned: PlannedBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    error: BaseException = OSError(28, "No space left on device")

    def fail(*_: Any, **__: Any) -> None:
        raise error

    if failing == "copyfile":
        monkeypatch.setattr(shutil, "copyfile", fail)
    elif failing == "replace":
        # Files within are renamed as well; only the bundle as a whole is not.
        rename = Path.replace
        monkeypatch.setattr(Path, "replace", lambda path, to: fail() if Path(to) == bundle else rename(path, to))
    else:
        error = KeyboardInterrupt() if failing == "interrupted" else error
        monkeypatch.setattr(new_bundle, "write_rendered", fail)
    with pytest.raises(KeyboardInterrupt if failing == "interrupted" else InputError) as raised:
        write_bundle(bundle, planned)
    if failing != "interrupted":
        assert "No space left on device" in str(raised.value)
    assert list(bundle.parent.iterdir()) == []


def test_a_place_that_is_no_folder_is_an_error_without_a_trace(tmp_path: Path, planned: PlannedBundle) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another folder"):
        write_bundle(tmp_path / "file" / "new", planned)
