"""Write the licences of all packages in constraints.txt into `docs/licences.md`: `python docs/licences.py`.

They come from the metadata of the installed packages. A package that is not installed keeps its row.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "licences.md"
START = "| package | version | licence | needed by |\n| --- | --- | --- | --- |\n"

# Licences that a package may have. MPL-2.0 is for the files of the package itself; LightSkip changes and ships none.
ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "ISC", "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Public domain", "Zlib",
}  # fmt: skip
# Packages with another licence besides these, and what it is about.
EXCEPTIONS = {"docutils": "GPL for one file, a mode for Emacs, which nothing here uses; for the extra `study` only"}
# What the metadata leave out, from the licence file in the package.
BY_HAND = {
    **dict.fromkeys(
        (
            "conda-inject",
            "snakemake-interface-common",
            "snakemake-interface-logger-plugins",
            "snakemake-interface-report-plugins",
            "snakemake-interface-scheduler-plugins",
            "snakemake-interface-storage-plugins",
        ),
        "MIT",
    ),
    "docutils": "Public domain AND BSD-2-Clause AND PSF-2.0 AND GPL",
}
# Words of metadata, in lower case, for the names of licences.
_WORDS = {
    "apache": "Apache-2.0", "3-clause": "BSD-3-Clause", "bsd-3": "BSD-3-Clause", "bsd 3": "BSD-3-Clause",
    "2-clause": "BSD-2-Clause", "bsd-2": "BSD-2-Clause", "bsd": "BSD", "mpl": "MPL-2.0", "mozilla": "MPL-2.0",
    "python software": "PSF-2.0", "psf": "PSF-2.0", "isc": "ISC", "public domain": "Public domain", "mit": "MIT",
}  # fmt: skip
_PART = re.compile(r" AND | OR |[()]")


def read_constraints() -> dict[str, str]:
    """Return the version of each package in constraints.txt, by its name there."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def find_licence(name: str) -> str:
    """Return the licence of an installed package; an empty text if nothing says it."""
    if name in BY_HAND:
        return BY_HAND[name]
    metadata = distribution(name).metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    text = str(metadata.get("License") or "").strip()
    if re.fullmatch(r"[\w.-]+( (AND|OR|WITH) [\w.-]+)+", text):
        return text
    said = [text] if text and len(text) < 60 and "\n" not in text else []
    said += [one.rpartition("::")[2] for one in metadata.get_all("Classifier") or () if one.startswith("License ::")]
    found = [licence for one in said for word, licence in _WORDS.items() if word in one.lower()]
    return found[0] if found else ""


def list_users() -> dict[str, str]:
    """Return by a package's normalised name what needs it: nothing (LightSkip itself), or extras of it."""
    extras = [extra for extra in distribution("lightskip").metadata.get_all("Provides-Extra") or () if extra != "dev"]
    users = dict.fromkeys(_closure("lightskip", ""), "LightSkip")
    for extra in [*extras, "dev"]:
        for name in _closure("lightskip", extra):
            if users.setdefault(name, extra) not in ("LightSkip", extra) and extra != "dev":
                users[name] += f", {extra}"
    return {name: "LightSkip" if "LightSkip" in user else user for name, user in users.items()}


def _closure(name: str, extra: str) -> set[str]:
    """Return the normalised names of all packages that a package with an extra needs, as far as they are installed."""
    found: set[tuple[str, str]] = set()
    left = [(name, extra)]
    while left:
        package, chosen = left.pop()
        if (package, chosen) in found:
            continue
        found.add((package, chosen))
        try:
            requires = distribution(package).requires or []
        except PackageNotFoundError:
            continue
        for text in requires:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": chosen}):
                left += [(canonicalize_name(needed.name), one) for one in ("", *needed.extras)]
    return {package for package, _ in found} - {name}


def make_rows(earlier: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the cells of each package's row, by its name; the earlier licence of one that is not installed."""
    users = list_users()
    rows = {}
    for name, version in read_constraints().items():
        try:
            licence = find_licence(name)
        except PackageNotFoundError:
            licence = earlier[name][2] if name in earlier else ""
        rows[name] = [name, version, licence, users.get(canonicalize_name(name), "another system or Python")]
    return rows


def read_rows(text: str) -> dict[str, list[str]]:
    """Return the cells of each row of the document's table, by the package's name."""
    table = text.partition(START)[2].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line.startswith("|")]
    return {row[0]: row for row in cells}


def refused_parts(name: str, licence: str) -> list[str]:
    """Return the parts of a licence that are not allowed."""
    parts = [part.strip() for part in _PART.split(licence) if part.strip()] or ["no licence"]
    return [part for part in parts if part not in ALLOWED and not (part == "GPL" and name in EXCEPTIONS)]


def main() -> int:
    """Write the table, and return 1 if a licence is not allowed."""
    head, _, _ = DOCUMENT.read_text(encoding="utf-8").partition(START)
    rows = make_rows(read_rows(DOCUMENT.read_text(encoding="utf-8")))
    DOCUMENT.write_text(head + START + "".join(f"| {' | '.join(row)} |\n" for row in rows.values()), encoding="utf-8")
    refused = {name: parts for name, row in rows.items() if (parts := refused_parts(name, row[2]))}
    for name, parts in refused.items():
        sys.stderr.write(f"{name}: {', '.join(parts)} is not in the list of allowed licences\n")
    return int(bool(refused))


if __name__ == "__main__":
    sys.exit(main())
