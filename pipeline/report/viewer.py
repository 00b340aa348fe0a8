"""The 3D viewer of report pages, NiiVue: which version, where its file is, and how it gets there.

NiiVue is not part of the repository. ``make viewer`` runs this module, which gets the package with npm, checks its hash
and keeps one file of it. A report without that file has pictures only.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ..data.errors import InputError
from ..files import whole_file
from ..leftovers import temporary_folder

__all__ = ["INTEGRITY", "PACKAGE", "SHA256", "VERSION", "Viewer", "fetch_viewer", "find_viewer", "unpack_viewer"]

PACKAGE, VERSION = "@niivue/niivue", "0.69.0"
INTEGRITY = "sha512-YMjQvJgD1W2b7DuoxkwlC4VxbrgIePRJ5qyQzXKxi2v2MBVg285P/CIQyg46oDDGDIcaNlbd+MhtO/edMbXJkA=="
"""Hash of the package, as npm publishes it and ``npm view`` shows it."""
SHA256 = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"
"""Hash of the one file that is kept."""
MISSING = "NiiVue is not installed; make viewer gets it with npm. The pages have pictures without the 3D viewer."

_MEMBER = "package/dist/niivue.umd.js"
_FOLDER, _FILE = "vendor", "niivue.umd.js"
_LICENCE = "niivue_licence.txt"


@dataclass(frozen=True)
class Viewer:
    """The viewer that a page contains.

    Attributes:
        script: its JavaScript, which defines ``niivue``.
        licence: text of its licence.
        version: of the package.
        sha256: hash of the script.
    """

    script: str
    licence: str
    version: str = VERSION
    sha256: str = SHA256


def find_viewer() -> Viewer | None:
    """Return the viewer; None if its file is absent or is not the expected one."""
    place = files(__package__).joinpath("html")
    try:
        content = place.joinpath(_FOLDER, _FILE).read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest() != SHA256:
        return None
    return Viewer(content.decode("utf-8"), place.joinpath(_LICENCE).read_text(encoding="utf-8"))


def fetch_viewer(folder: Path) -> Path:
    """Get the package with npm, check it, and write its file to a folder.

    Returns:
        The file.

    Raises:
        InputError: there is no npm, npm fails, or the package is another one than expected.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise InputError("npm", found="no such program", expected="npm", remedy="install Node.js, then run make viewer")
    with temporary_folder() as place:
        command = [npm, "pack", "--silent", "--pack-destination", str(place), f"{PACKAGE}@{VERSION}"]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        packed = sorted(place.glob("*.tgz"))
        if done.returncode or len(packed) != 1:
            reason = " ".join((done.stderr or done.stdout).split())[-300:] or f"status {done.returncode}"
            raise InputError(
                f"npm pack {PACKAGE}@{VERSION}",
                found=f"an error ({reason})",
                expected="the package",
                remedy="check npm's registry and network, then run make viewer",
            )
        return unpack_viewer(packed[0].read_bytes(), folder)


def unpack_viewer(package: bytes, folder: Path) -> Path:
    """Write the viewer's file from its npm package (a .tgz) to a folder, whole or not at all.

    Raises:
        InputError: the package has another hash than `INTEGRITY`.
    """
    found = f"sha512-{base64.b64encode(hashlib.sha512(package).digest()).decode()}"
    if found != INTEGRITY:
        raise InputError(
            f"{PACKAGE} {VERSION}",
            found=f"a package with the hash {found}",
            expected=INTEGRITY,
            remedy="do not use it; check npm's registry, then run make viewer",
        )
    target = folder / _FILE
    with temporary_folder() as place:
        file = place / "package.tgz"
        file.write_bytes(package)
        with tarfile.open(file) as archive:
            member = archive.extractfile(_MEMBER)
            assert member is not None  # the hash says which package it is
            content = member.read()
    with whole_file(target) as temporary:
        temporary.write_bytes(content)
    return target


def main() -> int:
    """Get the viewer for ``make viewer``. Return 0, or 1 if there is none."""
    if find_viewer() is not None:
        return 0
    try:
        file = fetch_viewer(Path(__file__).parent / "html" / _FOLDER)
    except InputError as error:
        sys.stderr.write(f"note: reports will have no 3D viewer: {error}\n")
        return 1
    sys.stdout.write(f"{file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
