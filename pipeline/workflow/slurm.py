"""How Snakemake asks a SLURM cluster for the state of its jobs, and what a killed Snakemake has left in the queue."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

from .find_profile import Profile

__all__ = ["cancel_queued", "slurm_words"]

_MAX_SECONDS = 60
# In Snakemake's log. It is the name of all jobs of one start.
_RUN = re.compile(r"SLURM run ID: ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")


def slurm_words(profile: Profile) -> list[str]:
    """Return words of Snakemake for a profile's SLURM cluster; none for other executors.

    By default Snakemake asks the cluster's accounting (sacct). Where that is switched off it would wait for ever.
    """
    if profile.executor != "slurm" or "slurm-status-command" in profile.settings or _has_accounting():
        return []
    return ["--slurm-status-command", "squeue"]


def cancel_queued(profile: Profile, log: Path) -> None:
    """Cancel the jobs that an earlier start has left in a SLURM cluster's queue.

    A Snakemake that ends cancels its jobs, but one that is killed cannot. Jobs that run already hold their locks; those
    that wait would do the same work as the jobs of the next start.

    Args:
        profile: of the start that follows.
        log: Snakemake's log of the earlier start.
    """
    if profile.executor != "slurm" or not log.is_file():
        return
    run = _RUN.search(log.read_text(encoding="utf-8", errors="replace"))
    if run is None:
        return
    # A cluster that does not answer will not take the next jobs either, and says why.
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        command = ["scancel", "--state=PENDING", f"--name={run[1]}"]
        subprocess.run(command, capture_output=True, timeout=_MAX_SECONDS, check=False)


def _has_accounting() -> bool:
    try:
        asked = subprocess.run(["sacct", "--noheader"], capture_output=True, timeout=_MAX_SECONDS, check=False)
    except FileNotFoundError:
        return False
    except subprocess.TimeoutExpired:
        return True
    return asked.returncode == 0
