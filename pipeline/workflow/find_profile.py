"""Find a profile of Snakemake: one of LightSkip's, a folder, or one of the user's; and check what it needs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.yaml_file import read_yaml

__all__ = ["PROFILES", "Profile", "find_profile"]

PROFILES = Path(__file__).with_name("profiles")
LOCAL = "local"
# Programs that an executor calls on this machine.
_PROGRAMS = {"slurm": "sbatch"}


@dataclass(frozen=True)
class Profile:
    """A profile.

    Attributes:
        file: its YAML file; None for no profile.
        settings: what the file says.
    """

    file: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def executor(self) -> str:
        """The executor, such as ``local`` or ``slurm``."""
        return str(self.settings.get("executor", LOCAL))

    @property
    def python(self) -> str:
        """The interpreter of jobs: this one, or ``python=...`` under ``config`` in the file, as in a container."""
        given = self.settings.get("config") or {}
        pairs = given if isinstance(given, dict) else dict(str(one).split("=", 1) for one in given if "=" in str(one))
        return str(pairs.get("python", sys.executable))


def find_profile(name: str | Path | None) -> Profile:
    """Return a profile.

    Args:
        name: a name of `PROFILES`, a folder with a ``config.yaml``, such a file, or the name of a profile in
            Snakemake's own folders; None for this machine.

    Raises:
        InputError: there is none, it cannot be read, or what it needs is not installed.
    """
    if name is None:
        return Profile()
    for place in _places(name):
        file = place if place.is_file() else _file_in(place)
        if file is not None:
            profile = Profile(file.absolute(), _read(file))
            _require_executor(profile)
            return profile
    known = sorted(folder.name for folder in PROFILES.iterdir())
    near = get_close_matches(str(name), known, n=1)
    raise InputError(
        "--profile",
        found=f"{name}, which is no profile",
        expected=f"{', '.join(known)}, or a folder with a config.yaml for Snakemake",
        remedy=f"did you mean {near[0]}?" if near else "name one of these",
    )


def _places(name: str | Path) -> Iterator[Path]:
    path = Path(name).expanduser()
    if str(name) and str(name) == path.name:
        yield PROFILES / path.name
    yield path
    if not path.is_absolute():
        own = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        yield from (Path(folder).expanduser() / "snakemake" / path for folder in (own, "/etc/xdg"))


def _file_in(folder: Path) -> Path | None:
    found = [file for pattern in ("profile*.yaml", "config*.yaml") for file in sorted(folder.glob(pattern))]
    return found[0] if found else None


def _read(file: Path) -> dict[str, Any]:
    try:
        return read_yaml(file)[0]
    except InputError as error:
        raise InputError(
            error.where,
            found=f"a file that cannot be read as a profile ({error.found})",
            expected="options of Snakemake in YAML, such as executor: slurm",
            remedy=f"correct it; {PROFILES} has examples",
        ) from error


def _require_executor(profile: Profile) -> None:
    """Raise InputError if the executor's package, or its program on this machine, is missing."""
    name = profile.executor
    package = f"snakemake_executor_plugin_{name.replace('-', '_')}"
    if name not in (LOCAL, "dryrun", "touch") and find_spec(package) is None:
        raise InputError(
            profile.file or "--profile",
            found=f"executor {name}, whose package is missing",
            expected=f"the package {package.replace('_', '-')}",
            remedy=f"install it: pip install {package.replace('_', '-')}, or 'lightskip[cluster]' for SLURM and "
            "Kubernetes",
        )
    program = _PROGRAMS.get(name)
    if program is not None and shutil.which(program) is None:
        raise InputError(
            profile.file or "--profile",
            found=f"executor {name}, but no program {program} on this machine",
            expected="a machine that submits jobs to the cluster",
            remedy="start the command on a login node of the cluster, or leave --profile out",
        )
