"""What can run code out of a file is called nowhere, or only in the places that are listed here with their reason."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pipeline.data.yaml_file import Loader

ROOT = Path(__file__).parents[1]
SOURCES = [*sorted((ROOT / "pipeline").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]

# Modules that unpickle, or open connections.
PICKLES = {"pickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "pandas"}
NETWORK = {"socket", "urllib.request", "http.client", "requests", "ftplib", "smtplib", "telnetlib", "xmlrpc"}
XML = {"xml.etree.ElementTree", "xml.dom.minidom", "xml.sax", "lxml"}

# By rule: the files that may do it, and why.
ALLOWED = {
    # Modules of the user's own plan or plans, by a name without expressions; and LightSkip's own, on first use.
    "import by name": {
        "pipeline/imports.py",
        "pipeline/bundle/__init__.py",
        "pipeline/bundle/settings.py",
        "pipeline/evaluation/__init__.py",
        "pipeline/export/formats.py",
        "pipeline/export/network.py",
        "pipeline/nnunet/settings.py",
        "pipeline/prediction/__init__.py",
    },
    # A bundle's configs are code, as SECURITY.md says. They are evaluated where the user runs the bundle.
    "evaluate a config": {
        "pipeline/bench/random_data.py",
        "pipeline/bench/run.py",
        "pipeline/bundle/launch_checks.py",
        "pipeline/bundle/settings.py",
        "pipeline/export/formats.py",
        "pipeline/export/network.py",
        "pipeline/prediction/chains.py",
        "pipeline/prediction/loaded_bundle.py",
        "pipeline/probe/session.py",
    },
    # A program that LightSkip has just exported.
    "load a program": {"pipeline/export/compare.py"},
    # Texts that are escaped line by line, or base64, or the page's own style and script.
    "markup": {"pipeline/report/html/page.py", "pipeline/report/report_page.py", "pipeline/study/report/page.py"},
    # Label names and spacings in headers, of limited size. Python's parser loads nothing from elsewhere, and limits
    # how entities grow. The last one only writes.
    "xml": {
        "pipeline/comparison/label_tables.py",
        "pipeline/data/images/tiff_spacing.py",
        "pipeline/labelmaps/nifti.py",
    },
    # The name of this machine, for locks and temporary files.
    "network": {"pipeline/locks.py", "pipeline/owner.py", "pipeline/training/earlier_files.py"},
}
# Scripts for documents run bundles of this repository.
NOT_IN_BENCHMARKS = {"import by name", "evaluate a config", "load a program"}


def dotted(node: ast.expr) -> str:
    """Return ``a.b.c`` for such a node; what has no name is a question mark."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def argument(call: ast.Call, name: str) -> object:
    """Return the literal that a call gives to a keyword; an empty tuple if there is none."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value.value if isinstance(keyword.value, ast.Constant) else dotted(keyword.value)
    return ()


def imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def broken_rules(tree: ast.AST) -> Iterator[str]:
    """Yield the rules that a module breaks, by their names."""
    for node in ast.walk(tree):
        for module in imported(node):
            if module.partition(".")[0] in PICKLES:
                yield "pickle"
            if any(module == one or module.startswith(f"{one}.") for one in NETWORK):
                yield "network"
            if any(module == one or module.startswith(f"{one}.") for one in XML):
                yield "xml"
        if isinstance(node, ast.Call):
            yield from broken_by_call(node, dotted(node.func))


def broken_by_call(call: ast.Call, name: str) -> Iterator[str]:  # noqa: PLR0912
    last = name.rpartition(".")[2]
    if name in ("torch.load", "torch.serialization.load") and argument(call, "weights_only") is not True:
        yield "torch.load without weights_only=True"
    if name in ("torch.jit.load", "torch.export.load", "torch.package.PackageImporter"):
        yield "load a program"
    if last in ("add_safe_globals", "safe_globals"):
        yield "types that every file may use"
    if argument(call, "allow_pickle") not in ((), False):
        yield "allow_pickle"
    if last in ("read_pickle", "to_pickle", "PersistentDataset", "LMDBDataset", "CacheNTransDataset", "NumpyReader"):
        yield "pickle"
    if last in ("all_gather_object", "broadcast_object_list", "gather_object", "scatter_object_list"):
        yield "pickle"
    if name.startswith("yaml.") and last in ("full_load", "unsafe_load", "full_load_all", "unsafe_load_all"):
        yield "unsafe yaml"
    if name in ("yaml.load", "yaml.load_all", "yaml.compose", "yaml.parse"):
        loader = dotted(call.args[1]) if len(call.args) > 1 else str(argument(call, "Loader"))
        if loader not in ("Loader", "yaml.SafeLoader", "_RecipeLoader"):  # Loader is the one of yaml_file.py
            yield "unsafe yaml"
    if name in ("eval", "exec", "compile", "builtins.eval", "builtins.exec"):
        yield "eval"
    if name in ("os.system", "os.popen", "commands.getoutput", "subprocess.getoutput", "subprocess.getstatusoutput"):
        yield "shell"
    if argument(call, "shell") not in ((), False) or name == "asyncio.create_subprocess_shell":
        yield "shell"
    if name in ("import_module", "importlib.import_module", "__import__"):
        is_literal = bool(call.args) and isinstance(call.args[0], ast.Constant)
        if not is_literal:
            yield "import by name"
    if last == "get_parsed_content" or name in ("ConfigWorkflow", "monai.bundle.run"):
        yield "evaluate a config"
    if last in ("extractall", "unpack_archive"):
        yield "unpack everything"
    if last == "Environment" and argument(call, "autoescape") is not True:
        yield "templates without escaping"
    if last == "Markup" or argument(call, "autoescape") is False:
        yield "markup"
    if name == "tempfile.mktemp":
        yield "mktemp"


def rules_of(text: str) -> set[str]:
    return set(broken_rules(ast.parse(text)))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("import pickle", "pickle"),
        ("from joblib import load", "pickle"),
        ("from urllib.request import urlopen", "network"),
        ("torch.load(path, map_location='cpu')", "torch.load without weights_only=True"),
        ("torch.load(path, weights_only=False)", "torch.load without weights_only=True"),
        ("torch.serialization.add_safe_globals([A])", "types that every file may use"),
        ("np.load(path, allow_pickle=True)", "allow_pickle"),
        ("np.load(path, allow_pickle=given)", "allow_pickle"),
        ("monai.data.PersistentDataset(a, b, c)", "pickle"),
        ("yaml.load(text, yaml.UnsafeLoader)", "unsafe yaml"),
        ("yaml.load(text)", "unsafe yaml"),
        ("eval(text)", "eval"),
        ("os.system(text)", "shell"),
        ("subprocess.run(text, shell=True)", "shell"),
        ("import_module(name)", "import by name"),
        ("parser.get_parsed_content('a')", "evaluate a config"),
        ("archive.extractall(folder)", "unpack everything"),
        ("Environment(loader=a)", "templates without escaping"),
        ("markupsafe.Markup(text)", "markup"),
    ],
)
def test_a_rule_finds_its_call(text, rule):
    assert rules_of(text) == {rule}


@pytest.mark.parametrize(
    "text",
    [
        "import pickletools",
        "torch.load(path, weights_only=True)",
        "np.load(path)",
        "np.load(path, allow_pickle=False)",
        "yaml.safe_load(text)",
        "yaml.load(text, Loader)",
        "subprocess.run([a, b])",
        "import_module('json')",
        "network.eval()",
        "Environment(loader=a, autoescape=True)",
    ],
)
def test_a_rule_leaves_the_safe_call_alone(text):
    assert rules_of(text) == set()


def test_no_module_breaks_a_rule_elsewhere():
    found = {
        (path.relative_to(ROOT).as_posix(), rule)
        for path in SOURCES
        for rule in rules_of(path.read_text(encoding="utf-8"))
        if not (path.is_relative_to(ROOT / "benchmarks") and rule in NOT_IN_BENCHMARKS)
    }
    expected = {(path, rule) for rule, paths in ALLOWED.items() for path in paths}
    assert found == expected


def test_the_loader_of_yaml_is_a_safe_one():
    assert issubclass(Loader, yaml.SafeLoader)
    assert not issubclass(Loader, yaml.FullLoader | yaml.UnsafeLoader)


def test_no_snakefile_has_a_value_without_quotes():
    # JOB and `command` are joined by shlex; the wildcards of a rule name files that LightSkip has named.
    for file in (ROOT / "pipeline").rglob("Snakefile"):
        commands = re.findall(r"^\s+(?:shell:)?\s*\"(.*)\"$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        used = [name for text in commands for name in re.findall(r"\{([^}]+)\}", text)]
        assert used
        unquoted = {name for name in used if not name.endswith(":q")}
        assert unquoted <= {"JOB", "params.command", "id", "shard"}, file


@pytest.mark.parametrize("name", ["base.html", "check_page.html", "report_page.html", "study_page.html"])
def test_no_template_switches_escaping_off_or_names_an_address(name):
    text = (ROOT / "pipeline" / "report" / "html" / name).read_text(encoding="utf-8")
    for word in ("|safe", "| safe", "autoescape false", 'src="http', "src='http", "<link", "@import", "url(http"):
        assert word not in text
