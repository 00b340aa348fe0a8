"""Copy a bundle at hand, so that it can be trained, changed and evaluated."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ...data.errors import InputError
from ...data.yaml_file import read_yaml
from ...files import name_disk, write_text
from ...leftovers import temporary_path
from .find import find_bundle

__all__ = ["copy_bundle"]

_LEFT_OUT = ("runs", "evaluation", "predictions", "data")
_MANIFEST = "data_manifest.json"


def copy_bundle(bundle: str | Path, output: Path | None = None) -> Path:
    """Copy a bundle, without its trainings, evaluations, predictions and data.

    The datalist that the plan names comes with it. Paths in the plan continue to mean the same files.

    Args:
        bundle: the bundle's name or folder.
        output: the new folder; None: the bundle's name, in the working directory.

    Returns:
        The new folder.

    Raises:
        InputError: there is no such bundle, or the folder exists.
    """
    source = find_bundle(bundle)
    if not source.is_dir():
        raise InputError(
            source, found="no such folder", expected="a bundle", remedy="lightskip bundles lists what is at hand"
        )
    target = (output or Path(source.resolve().name)).expanduser()
    _require_free(target, source)
    # In the same parent folder, so that moving it to its name is one step.
    partial = temporary_path(target)
    try:
        with name_disk(target, partial):
            _copy_files(source, partial, without=_LEFT_OUT)
            _keep_paths(source, partial)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.rename(target)
    except OSError as error:
        # The user knows the target, not the temporary folder next to it.
        if isinstance(error.filename, str):
            error.filename = error.filename.replace(str(partial), str(target), 1)
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _require_free(target: Path, source: Path) -> None:
    if target.exists() or target.is_symlink():
        raise InputError(
            target,
            found="an existing file or folder",
            expected="no existing file or folder: nothing is overwritten or merged",
            remedy=f"name another folder: lightskip bundles copy {source.name} -o DIR",
        )


def _copy_files(source: Path, target: Path, *, without: Sequence[str] = ()) -> None:
    """Copy the content of files, without permissions: those of an installed package may forbid writing."""
    target.mkdir(parents=True)
    for one in sorted(source.iterdir()):
        if one.name in (*without, "__pycache__") or one.name.startswith("."):
            continue
        if one.is_dir():
            _copy_files(one, target / one.name)
        elif not one.name.endswith(".tmp"):
            shutil.copyfile(one, target / one.name)


def _keep_paths(source: Path, target: Path) -> None:
    """Copy the plan's datalist into the bundle, and make the path of its scans absolute: both start at the plan."""
    plan = target / "plan.yaml"
    if not plan.is_file():
        return
    data = _data_of(plan)
    manifest, folder = data.get("manifest"), data.get("folder")
    if isinstance(manifest, str) and (source / manifest).is_file() and not _is_inside(source / manifest, source):
        shutil.copyfile(source / manifest, target / _MANIFEST)
        _set_path(plan, "manifest", _MANIFEST)
    if isinstance(folder, str) and not Path(folder).is_absolute():
        _set_path(plan, "folder", str((source / folder).resolve()))


def _set_path(plan: Path, key: str, value: str) -> None:
    """Set a path under ``data`` in a plan, and keep every other line and comment."""
    text = plan.read_bytes().decode()
    written = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()
    old = r"'[^'\n]*'|\"[^\"\n]*\"|[^'\"\s#][^#\n]*?"
    line = re.compile(rf"^(  {key}: *)(?:{old})( *(?: #.*)?)$", flags=re.MULTILINE)
    changed = line.sub(lambda match: f"{match[1]}{written}{match[2]}", text, count=1)
    before = read_yaml(plan)[0]
    write_text(plan, changed)
    after = read_yaml(plan)[0]
    before["data"] = {**before["data"], key: value}
    if before != after:
        raise InputError(
            plan,
            found=f"data.{key} in a form that is not copied",
            expected=f"{key} on a line of its own under data, as `lightskip plan` writes it",
            remedy="copy the folder by hand, and correct the path",
        )


def _is_inside(file: Path, folder: Path) -> bool:
    return file.resolve().is_relative_to(folder.resolve())


def _data_of(plan: Path) -> dict[str, Any]:
    data = read_yaml(plan)[0].get("data")
    return data if isinstance(data, dict) else {}
