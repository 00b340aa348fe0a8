import shutil
from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.workflow import find_profile
from pipeline.workflow.find_profile import PROFILES


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))


def test_a_name_of_lightskips_a_folder_a_file_and_one_of_snakemakes_folders_are_found(tmp_path: Path) -> None:
    assert find_profile.find_profile(None).executor == "local"
    assert find_profile.find_profile("local").file == PROFILES / "local" / "config.yaml"
    for folder in (tmp_path / "mine", tmp_path / "xdg" / "snakemake" / "theirs"):
        folder.mkdir(parents=True)
        (folder / "config.v9+.yaml").write_text("jobs: 3\n")
    for name in ("mine", "./mine", tmp_path / "mine" / "config.v9+.yaml"):
        assert find_profile.find_profile(name).file == tmp_path / "mine" / "config.v9+.yaml"
    assert find_profile.find_profile("theirs").settings == {"jobs": 3}


@pytest.mark.parametrize("name", ["none_such", "", "."])
def test_what_is_no_profile_is_refused_with_the_known_names(name: str) -> None:
    with pytest.raises(InputError, match="kubernetes, local, slurm"):
        find_profile.find_profile(name)


@pytest.mark.parametrize("text", ["executor: [", "- local\n", ""])
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError, match="cannot be read as a profile"):
        find_profile.find_profile(tmp_path)


def test_a_missing_package_or_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_profile, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="pip install snakemake-executor-plugin-slurm"):
        find_profile.find_profile("slurm")
    monkeypatch.setattr(find_profile, "find_spec", lambda _: object())
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="no program sbatch on this machine"):
        find_profile.find_profile("slurm")
    assert find_profile.find_profile("kubernetes").executor == "kubernetes"
