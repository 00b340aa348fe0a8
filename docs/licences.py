"""Write the licences of all packages in constraints.txt into `docs/licences.md`: `python docs/licences.py`.

They come from the metadata of the installed packages. A package that is not installed keeps its row, and what needs it:
it is named.

Exit status: 1 if a licence is not allowed, or a package has none.
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
BY_HAND = dict.fromkeys(
    (
        "conda-inject",
        "snakemake-interface-common",
        "snakemake-interface-logger-plugins",
        "snakemake-interface-report-plugins",
        "snakemake-interface-scheduler-plugins",
        "snakemake-interface-storage-plugins",
    ),
    "MIT",
)
# Parts of words, in lower case, after which no other word of a text counts: with the name of the licence, or none.
_REFUSED = {
    "affero": "AGPL", "agpl": "AGPL", "lesser general": "LGPL", "lgpl": "LGPL", "general public": "GPL", "gpl": "GPL",
    "proprietary": "", "commercial": "", "commons clause": "", "sspl": "", "eula": "",
}  # fmt: skip
# Words of metadata, in lower case, for the names of licences; the first that a text has counts.
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
    """Return the licence of an installed package; an empty text if nothing says it.

    Several statements are joined by AND, also where the package may mean OR: each of them has to be allowed.
    """
    metadata = distribution(name).metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    text = str(metadata.get("License") or "").strip()
    if re.fullmatch(r"[\w.-]+( (AND|OR|WITH) [\w.-]+)+", text):
        return text
    # A long text is the whole licence, whose words may be about anything.
    said = [text] if text and len(text) < 60 and "\n" not in text else []
    said += [one.rpartition("::")[2] for one in metadata.get_all("Classifier") or () if one.startswith("License ::")]
    found = dict.fromkeys(_name_licence(one.strip()) for one in said if one.strip() != "OSI Approved")
    if any(licence.startswith("BSD-") for licence in found):
        found.pop("BSD", None)
    return " AND ".join(found) or BY_HAND.get(name, "")


def _name_licence(said: str) -> str:
    """Return the licence that a text names; the text itself, which is not allowed, if it names none that is known."""
    for word, licence in _REFUSED.items():
        if word in said.lower():
            return licence or said
    found = (licence for word, licence in _WORDS.items() if re.search(rf"(?<![a-z]){word}(?![a-z])", said.lower()))
    return next(found, said)


def list_users() -> tuple[dict[str, str], dict[str, set[str]]]:
    """Return what needs each package by its normalised name, and by extra what of it is not installed.

    A package is needed by LightSkip itself, or by extras of it.
    """
    extras = [extra for extra in distribution("lightskip").metadata.get_all("Provides-Extra") or () if extra != "dev"]
    closures = {extra: _closure("lightskip", extra) for extra in ["", *extras, "dev"]}
    users = dict.fromkeys(closures[""], "LightSkip")
    for extra in [*extras, "dev"]:
        for name in closures[extra]:
            if users.setdefault(name, extra) not in ("LightSkip", extra) and extra != "dev":
                users[name] += f", {extra}"
    users = {name: "LightSkip" if "LightSkip" in user else user for name, user in users.items()}
    return users, {extra: absent for extra, names in closures.items() if (absent := set(filter(_is_absent, names)))}


def _is_absent(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return True
    return False


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


def make_rows(earlier: dict[str, list[str]]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the cells of each package's row, by its name, and sentences about what could not be looked up.

    A package that is not installed keeps its licence, and the extras of which something is not installed keep theirs.
    """
    users, absent = list_users()
    rows, kept = {}, []
    for name, version in read_constraints().items():
        before = earlier.get(name, [name, version, "", ""])
        licence = before[2] if (missing := _is_absent(name)) else find_licence(name)
        kept += [name] if missing else []
        needed = users.get(canonicalize_name(name), "")
        rest = [one for one in before[3].split(", ") if one in absent]
        if rest and needed != "LightSkip":
            needed = ", ".join(sorted({*rest, *needed.split(", ")} - {"", "dev"}))
        rows[name] = [name, version, licence, needed or "another system or Python"]
    said = [f"not installed, so the licence is that of the earlier table: {', '.join(kept)}"] if kept else []
    said += [
        f"extra `{extra}` is not fully installed ({', '.join(sorted(names))}): packages keep it in 'needed by'"
        for extra, names in absent.items()
    ]
    return rows, said


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
    rows, said = make_rows(read_rows(DOCUMENT.read_text(encoding="utf-8")))
    DOCUMENT.write_text(head + START + "".join(f"| {' | '.join(row)} |\n" for row in rows.values()), encoding="utf-8")
    refused = {name: parts for name, row in rows.items() if (parts := refused_parts(name, row[2]))}
    sys.stderr.writelines(f"note: {one}\n" for one in said)
    for name, parts in refused.items():
        sys.stderr.write(f"{name}: {', '.join(parts)} is not in the list of allowed licences\n")
    return int(bool(refused))


if __name__ == "__main__":
    sys.exit(main())
