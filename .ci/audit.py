"""Ask pip-audit for known vulnerabilities of the versions in constraints.txt: ``make audit``.

pip-audit ends with status 0 if the service does not know a package, or not its version. Here that is not a pass.

Exit status: 0 if every package was looked up and none has a known vulnerability, 1 if one has, 3 if a package was not
checked, such as without a network. `make` says "Error 3" then, and ends with 2 itself, as after every error.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

NOT_CHECKED = 3


def describe(content: dict[str, Any]) -> tuple[int, list[str]]:
    """Return the exit status, and lines, for pip-audit's report in JSON."""
    packages = content["dependencies"]
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    lines = []
    for one in packages:
        for fault in one.get("vulns", ()):
            fixed = ", ".join(fault["fix_versions"]) or "none"
            lines.append(f"{one['name']} {one['version']}: {fault['id']}; versions without it: {fixed}")
    status = 1 if lines else NOT_CHECKED if unknown or not packages else 0
    checked = len(packages) - len(unknown)
    lines.append(f"{checked} of {len(packages)} packages checked, {len(lines)} known vulnerabilities in these")
    if unknown or not packages:
        reasons = dict.fromkeys(one["skip_reason"].partition(":")[0] for one in packages if "skip_reason" in one)
        lines += [
            f"NOT CHECKED: {', '.join(unknown) if checked else 'all packages'}",
            *(f"  found: {reason}" for reason in reasons),
            "  This is no pass: nothing is known about these versions.",
            "  What to do: run it with a network that reaches the Python Package Index; another index cannot answer.",
        ]
    return status, lines


def main(constraints: Path) -> int:
    """Audit the versions in a file, print the result, and return the exit status."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(constraints), "--no-deps", "--disable-pip"]
    done = subprocess.run(
        [*command, "-f", "json", "--progress-spinner", "off"], capture_output=True, text=True, check=False
    )
    try:
        status, lines = describe(json.loads(done.stdout))
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        said = f"NOT CHECKED: pip-audit ended with status {done.returncode}: {last[:300]}"
        status, lines = NOT_CHECKED, [said, "  This is no pass: nothing is known about these versions."]
    print("\n".join(lines))  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
