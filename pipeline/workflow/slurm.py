"""How Snakemake asks a SLURM cluster for the state of its jobs."""

from __future__ import annotations

import subprocess

from .find_profile import Profile

__all__ = ["slurm_words"]

_MAX_SECONDS = 60


def slurm_words(profile: Profile) -> list[str]:
    """Return words of Snakemake for a profile's SLURM cluster; none for other executors.

    By default Snakemake asks the cluster's accounting (sacct). Where that is switched off it would wait for ever.
    """
    if profile.executor != "slurm" or "slurm-status-command" in profile.settings or _has_accounting():
        return []
    return ["--slurm-status-command", "squeue"]


def _has_accounting() -> bool:
    try:
        asked = subprocess.run(["sacct", "--noheader"], capture_output=True, timeout=_MAX_SECONDS, check=False)
    except FileNotFoundError:
        return False
    except subprocess.TimeoutExpired:
        return True
    return asked.returncode == 0
