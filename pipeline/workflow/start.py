"""How the jobs of a workflow are started: where, and how many at the same time."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..data.errors import InputError
from .find_profile import LOCAL, Profile, find_profile

__all__ = ["Start", "check_start"]


@dataclass(frozen=True)
class Start:
    """How jobs are started.

    Attributes:
        profile: the profile.
        jobs: jobs at the same time, at most.
    """

    profile: Profile
    jobs: int

    @property
    def is_local(self) -> bool:
        """Whether jobs run on this machine."""
        return self.profile.executor == LOCAL


def check_start(jobs: int | None, profile: str | Path | None, *, verb: str) -> Start:
    """Return how jobs are started, after a check of all that needs no work.

    Args:
        jobs: see `run_workflow`.
        profile: see `find_profile`.
        verb: the command's name in messages.

    Raises:
        InputError: Snakemake or what the profile needs is missing, or the profile or the number of jobs cannot be used.
    """
    _require_snakemake(verb)
    if jobs is not None and jobs < 1:
        raise InputError(
            "-j", found=f"{jobs}", expected="a number of jobs from 1 on", remedy="correct it, such as -j 2"
        )
    found = find_profile(profile)
    wanted = jobs or found.settings.get("jobs") or 1
    if not isinstance(wanted, int) or wanted < 1:
        raise InputError(
            found.file or "-j",
            found=f"jobs: {wanted}",
            expected="a number of jobs from 1 on",
            remedy="correct it, or name a number with -j",
        )
    return Start(found, wanted)


def _require_snakemake(verb: str) -> None:
    """Raise InputError if Snakemake is not installed, or this is Windows."""
    if sys.platform == "win32":
        raise InputError(
            verb,
            found="Windows",
            expected="Linux or macOS, whose processes can be ended as a group",
            remedy="start it in the Windows Subsystem for Linux",
        )
    if find_spec("snakemake") is None:
        raise InputError(
            verb,
            found="no package snakemake",
            expected="the packages that run many jobs",
            remedy="install them: pip install 'lightskip[study]'",
        )
