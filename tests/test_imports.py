"""Arrows point one way: which room imports which, and no circle; hidden imports and those for types are counted."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1] / "pipeline"

_GROUND = {"networks", "data", "labelmaps", "evaluation"}
_MIDDLE = {"training", "bundle", "inference", "bench", "report", "workflow"}
_UPPER = {"prediction", "comparison", "export", "nnunet", "probe"}
_TOP = {"fitting", "cohort", "study"}
# The rooms that a room may import, besides itself and the root modules. Root modules may import nothing but, where
# they are named here, other root modules.
MAY_IMPORT: dict[str, set[str]] = {
    "networks": set(),
    "data": set(),
    "labelmaps": {"data"},
    "evaluation": {"data", "labelmaps"},
    **dict.fromkeys(_MIDDLE, _GROUND),
    "workflow": {"data"},
    **dict.fromkeys(_UPPER, _GROUND | _MIDDLE),
    **dict.fromkeys(_TOP, _GROUND | _MIDDLE | _UPPER),
    "cli": _GROUND | _MIDDLE | _UPPER | _TOP,
    **{
        module: set() for module in ("disk", "files", "leftovers", "lock_file", "locks", "parent", "process", "streams")
    },
    "__init__": {"prediction"},  # the face of the package: `pipeline.predict`
    "__main__": {"cli"},
}
# Circles that are known and shall go: the import of the first by the second closes one.
KNOWN: set[tuple[str, str]] = set()


class Import(NamedTuple):
    importer: str
    imported: str
    line: int


def list_modules(root: Path) -> dict[str, Path]:
    """Every module of the package by its dotted name; a package has the name of its folder."""
    files = {".".join(file.relative_to(root.parent).with_suffix("").parts): file for file in root.rglob("*.py")}
    return {name.removesuffix(".__init__"): file for name, file in files.items()}


def list_imports(root: Path) -> list[Import]:
    """Every import of the package's own modules, wherever in a module it stands."""
    modules = list_modules(root)
    return [
        Import(name, imported, line)
        for name, file in modules.items()
        for base, names, line in _statements(name, file)
        if base.partition(".")[0] == root.name
        for imported in {f"{base}.{item}" if f"{base}.{item}" in modules else base for item in names}
    ]


def _statements(module: str, file: Path) -> Iterator[tuple[str, list[str], int]]:
    """Absolute module, imported names and line of every import statement and ``import_module`` of a literal."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield _absolute(node.module or "", node.level, package), [item.name for item in node.names], node.lineno
        elif isinstance(node, ast.Import):
            yield from ((item.name, [""], node.lineno) for item in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            for name in (item.value for item in node.args[:1] if isinstance(item, ast.Constant)):
                level = len(name) - len(name.lstrip("."))
                yield _absolute(name.lstrip("."), level, package), [""], node.lineno


def _absolute(name: str, level: int, package: str) -> str:
    if not level:
        return name
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - level + 1], *([name] if name else [])])


def find_wrong_arrows(root: Path) -> list[str]:
    """Every import that the table does not allow, as a line for a person."""
    rooms = {folder.name for folder in root.iterdir() if folder.is_dir()}
    modules = list_modules(root)
    wrong = []
    for importer, imported, line in list_imports(root):
        ours, theirs = (name.split(".")[1] if "." in name else "__init__" for name in (importer, imported))
        root_module = theirs not in rooms and theirs not in ("__init__", "__main__")
        allowed = MAY_IMPORT.get(ours, set()) | {ours}
        if not (theirs in allowed or (root_module and ours in MAY_IMPORT)):
            wrong.append(f"{modules[importer].relative_to(root.parent)}, line {line}: {ours} imports {imported}")
    return sorted(wrong)


def find_circle(root: Path, known: set[tuple[str, str]]) -> list[str]:
    """One circle of imports, module by module, or nothing where there is none but the known ones."""
    graph: dict[str, set[str]] = {name: set() for name in list_modules(root)}
    for importer, imported, _ in list_imports(root):
        if (importer, imported) not in known:
            graph[importer].add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_room_imports_what_it_may() -> None:
    rooms = {folder.name for folder in ROOT.iterdir() if folder.is_dir() and any(folder.rglob("*.py"))}
    assert rooms <= MAY_IMPORT.keys(), "a new room: say in MAY_IMPORT and in CONTRIBUTING.md what it may import"
    assert find_wrong_arrows(ROOT) == []


def test_no_module_imports_itself_through_others() -> None:
    assert find_circle(ROOT, KNOWN) == []
    edges = {(importer, imported) for importer, imported, _ in list_imports(ROOT)}
    assert edges >= KNOWN, "a circle is gone: take it out of KNOWN"


def write_package(folder: Path, files: dict[str, str]) -> Path:
    for name, text in {"__init__.py": "", "data/__init__.py": "", "data/scans.py": "", **files}.items():
        (folder / "pipeline" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "pipeline" / name).write_text(text)
    return folder / "pipeline"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("report/page.py", "from ..data.scans import read\nfrom ..files import write\nfrom . import table\n"),
        ("evaluation/metrics.py", "import numpy\nfrom pipeline.labelmaps import voxels\n"),
        ("labelmaps/voxels.py", "from ..data import scans\n"),
        ("prediction/run.py", "from ..bundle import plan\nfrom ..inference.windows import slide\n"),
        ("cli/verbs.py", "import pipeline.prediction\nfrom ..networks import VNet\n"),
        ("__init__.py", "def __getattr__(name):\n    from . import prediction\n"),
        ("__main__.py", "from .cli import main\n"),
    ],
)
def test_arrows_that_point_down_are_allowed(tmp_path: Path, file: str, text: str) -> None:
    others = dict.fromkeys(
        ("labelmaps/__init__.py", "networks/__init__.py", "bundle/plan.py", "prediction/__init__.py"), ""
    )
    root = write_package(
        tmp_path, {**others, "cli/__init__.py": "", "inference/windows.py": "", "files.py": "", file: text}
    )
    assert find_wrong_arrows(root) == []


@pytest.mark.parametrize(
    ("file", "text", "wrong"),
    [
        # Up, sideways, from a root module, over the top.
        ("data/scans.py", "from ..report.page import draw", "data imports pipeline.report.page"),
        ("labelmaps/voxels.py", "from ..evaluation import metrics", "labelmaps imports pipeline.evaluation.metrics"),
        ("report/page.py", "import pipeline.bundle.plan", "report imports pipeline.bundle.plan"),
        ("networks/vnet.py", "from pipeline.data import scans", "networks imports pipeline.data.scans"),
        ("files.py", "from .data.scans import read", "files imports pipeline.data.scans"),
        ("prediction/run.py", "from ..cli import main", "prediction imports pipeline.cli"),
        ("inference/save.py", "from .. import __version__", "inference imports pipeline"),
        ("gadgets/new.py", "from ..data import scans", "gadgets imports pipeline.data.scans"),
        # Hidden in a function, for types only, by name.
        ("data/scans.py", "def read():\n    from ..bundle import plan", "data imports pipeline.bundle.plan"),
        ("data/scans.py", "if TYPE_CHECKING:\n    from ..bundle import plan", "data imports pipeline.bundle.plan"),
        ("data/scans.py", "x = importlib.import_module('pipeline.report.page')", "data imports pipeline.report.page"),
        ("data/__init__.py", "x = import_module('..bundle.plan', __name__)", "data imports pipeline.bundle.plan"),
    ],
)
def test_an_arrow_that_points_up_is_found(tmp_path: Path, file: str, text: str, wrong: str) -> None:
    others = dict.fromkeys(("report/page.py", "evaluation/metrics.py", "bundle/plan.py", "cli/__init__.py"), "")
    root = write_package(tmp_path, {**others, file: f"import os\n{text}\n"})
    [line] = find_wrong_arrows(root)
    assert line == f"pipeline/{file}, line {2 + text.count(chr(10))}: {wrong}"


@pytest.mark.parametrize(
    ("files", "circle"),
    [
        (
            {"data/scans.py": "from .volumes import read", "data/volumes.py": "def f():\n    from . import scans"},
            {"pipeline.data.scans", "pipeline.data.volumes"},
        ),
        (
            {"data/__init__.py": "from .scans import read", "data/scans.py": "from . import read"},
            {"pipeline.data", "pipeline.data.scans"},
        ),
        (
            {
                "data/scans.py": "from ..files import a",
                "files.py": "if TYPE_CHECKING:\n    from .quiet import b",
                "quiet.py": "import pipeline.data.scans",
            },
            {"pipeline.data.scans", "pipeline.files", "pipeline.quiet"},
        ),
        ({"data/volumes.py": "from .scans import read", "data/__init__.py": "from .volumes import read"}, set()),
    ],
)
def test_a_circle_is_found_and_a_known_one_is_let_pass(tmp_path: Path, files: dict[str, str], circle: set[str]) -> None:
    root = write_package(tmp_path, files)
    found = find_circle(root, set())
    assert set(found) == circle
    # The sorter names a circle against its arrows, and its first module twice.
    assert not found or find_circle(root, {(found[1], found[0])}) == []
