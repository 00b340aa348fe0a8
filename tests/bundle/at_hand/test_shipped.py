from pathlib import Path

import pytest

from pipeline.bundle.at_hand import shipped
from pipeline.bundle.at_hand.shipped import is_installed, require_own_bundle, shipped_folder
from pipeline.data.errors import InputError

ROOT = Path(__file__).resolve().parents[3]


def test_a_checkout_ships_its_own_bundles_which_may_be_changed() -> None:
    assert shipped_folder() == ROOT / "bundles"
    assert not is_installed(ROOT / "bundles" / "hippocampus_mri")
    require_own_bundle("train", ROOT / "bundles" / "hippocampus_mri")


def test_an_installed_package_ships_those_in_it(package: Path) -> None:
    assert shipped_folder() == package / "bundles"


def test_a_package_without_bundles_takes_no_other_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Any package may be called `bundles`.
    (tmp_path / "bundles").mkdir()
    (tmp_path / "pipeline").mkdir()
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "pipeline")
    assert shipped_folder() is None


def test_an_installed_bundle_is_not_written_to_by_any_path(package: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(package / "bundles" / "spleen")
    for bundle in (package / "bundles" / "spleen", link, package / "bundles" / "liver" / ".." / "spleen"):
        with pytest.raises(InputError, match=r"lightskip train writes into it.*: lightskip bundles copy "):
            require_own_bundle("train", bundle)
    with pytest.raises(InputError, match=r"copy spleen; or name a folder\.$"):
        require_own_bundle("evaluate", package / "bundles" / "spleen", otherwise="or name a folder")
    require_own_bundle("train", tmp_path / "spleen")
