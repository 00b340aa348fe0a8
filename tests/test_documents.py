"""Documents name what exists, each fact once, in plain words."""

import argparse
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.bundle.launch_checks import OWN
from pipeline.cli import _parser
from pipeline.data.findings import FIXABLE, SEVERITIES

ROOT = Path(__file__).resolve().parents[1]
README, DOCS = ROOT / "README.md", sorted((ROOT / "docs").glob("*.md"))
OF_BUNDLES = sorted((ROOT / "bundles").rglob("*.md"))
TEMPLATES = sorted((ROOT / "configs" / "templates").glob("*.md"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS, *OF_BUNDLES])
each = pytest.mark.parametrize("document", [*DOCUMENTS, *TEMPLATES], ids=lambda path: str(path.relative_to(ROOT)))

VERBS: dict[str, argparse.ArgumentParser] = next(
    action.choices for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)
)
# They take every key of a config, next to options of their own (OWN).
LAUNCHED = ("train", "evaluate")
# Options of other programs than LightSkip's that documents name.
FOREIGN = {
    *("--config_file", "--meta_file", "--filepath", "--ckpt_file"),  # python -m monai.bundle
    *("--bundle_path", "--net_id", "--precision", "--dynamic_batchsize", "--use_onnx", "--use_trace"),
    *("--standalone", "--nproc_per_node"),  # torchrun
    *("--mode", "--b"),  # the model zoo's verify_bundle.py
}


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Yield the head and the rows of every table, as cells."""
    for block in re.findall(r"(?:^\|.*\n)+", text + "\n", flags=re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines())
        yield head, rows


def commands(document: Path) -> Iterator[list[str]]:
    """Yield the words of every command: lines of shell blocks, and code within lines that starts like one."""
    text = text_of(document)
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    shell = [block.replace("\\\n", " ") for language, block in blocks if language in ("", "sh")]
    lines = [line for block in shell for line in block.splitlines()]
    lines += re.findall(r"`((?:lightskip|python|torchrun|make) [^`]+)`", text)
    for line in lines:
        for command in line.split(" && "):
            words = shlex.split(command, comments=True)
            starts = [at for at, word in enumerate(words) if re.fullmatch(r"lightskip|python|torchrun|make", word)]
            if starts:
                yield words[starts[0] :]


def options_of(verb: str) -> dict[str, argparse.Action | None]:
    if verb in LAUNCHED:
        own = {f"--{name.replace('_', '-')}" for name in OWN}
        return dict.fromkeys({"--KEY", "--KEY#KEY"} | own)
    actions = VERBS[verb]._actions
    return {name: action for action in actions for name in action.option_strings if name not in ("-h", "--help")}


def config_keys() -> set[str]:
    configs = ROOT / "bundles" / "hippocampus_mri" / "configs"
    known: set[str] = {"images"}  # of an exported bundle
    for name in ("train", "evaluate", "inference", "multi_gpu_train"):
        known |= json.loads(text_of(configs / f"{name}.json")).keys()
    return known


KEYS = {f"--{key}" for key in config_keys()}
IN_BENCHMARKS = {
    option for file in (ROOT / "benchmarks").glob("*.py") for option in re.findall(r'"(--[\w-]+)"', text_of(file))
}


def known_to(words: list[str]) -> set[str]:
    """The options that a command takes."""
    if words[0] == "lightskip":
        return options_of(words[1]).keys() | (KEYS if words[1] in LAUNCHED else set())
    if any(word.startswith("benchmarks/") for word in words):
        return IN_BENCHMARKS
    if words[0] == "torchrun" and "pipeline" in words:
        return options_of("predict").keys() | FOREIGN
    return KEYS | FOREIGN


# --- links ------------------------------------------------------------------------------------------------------------


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text_of(document), flags=re.M | re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each
def test_nothing_is_left_to_fill_in(document: Path) -> None:
    assert re.findall(r"@[A-Z]+@", text_of(document)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_local_link_and_anchor_exists(document: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(document)):
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if "://" in target:
            continue
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_every_document_can_be_reached_from_the_readme() -> None:
    seen, left = set(), [README]
    while left:
        document = left.pop()
        if document.suffix == ".md" and document.exists() and document not in seen:
            seen.add(document)
            left += [(document.parent / to).resolve() for to in re.findall(r"\]\(([^)#\s]+)", text_of(document))]
    assert set(DOCS) <= seen


@each
def test_files_of_the_repository_that_are_named_exist(document: Path) -> None:
    named = re.findall(r"`((?:pipeline|tests|benchmarks)/[^`\s]*?)`", text_of(document))
    assert [path for path in named if not list(ROOT.glob(path.rstrip("/")))] == []


# --- commands and options ---------------------------------------------------------------------------------------------


@each
def test_commands_exist_with_their_options(document: Path) -> None:
    makefile = text_of(ROOT / "Makefile")
    for words in commands(document):
        command = " ".join(words)
        if words[0] == "lightskip" and words[1] != "VERB":
            assert words[1] in VERBS, command
        if words[0] == "make":
            targets = [word for word in words[1:] if "=" not in word]
            assert [name for name in targets if not re.search(rf"^{name}:", makefile, flags=re.MULTILINE)] == []
        scripts = [word for word in words if word.startswith("benchmarks/")]
        assert [script for script in scripts if not (ROOT / script).is_file()] == []
        if words[:2] != ["lightskip", "VERB"]:
            given = {re.split("[=#]", word)[0] for word in words if word.startswith("--")}
            assert given <= known_to(words), command


@each
def test_no_option_is_named_that_does_not_exist(document: Path) -> None:
    known = KEYS | FOREIGN | IN_BENCHMARKS | {"--KEY"}
    known = known.union(*(options_of(verb) for verb in VERBS))
    named = {name for code in re.findall(r"`([^`\n]+)`", text_of(document)) for name in re.findall(r"--\w[\w-]*", code)}
    assert named - known - {"--VERB", "--help", "--conf"} == set()


def option_tables() -> dict[str, tuple[Path, dict[str, str]]]:
    """By verb, the document and what its table of options says of each."""
    found: dict[str, tuple[Path, dict[str, str]]] = {}
    for document in [README, *DOCS]:
        for head, rows in tables(text_of(document)):
            for verb in re.findall(r"`lightskip (\w+)`", head[0]) if head[0].startswith("options of") else ():
                assert verb not in found, f"two tables of the options of {verb}"
                said: dict[str, str] = {}
                for row in rows:
                    for name in re.findall(r"`(--?[\w#-]+)", row[0]):
                        said[name] = " ".join((said.get(name, ""), *row))
                found[verb] = document, said
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_a_verb_is_in_its_table(verb: str) -> None:
    document, said = option_tables()[verb]
    options = options_of(verb)
    assert said.keys() == options.keys(), document
    for name, action in options.items():
        words: list[Any] = [] if action is None else [*(action.choices or ()), action.default]
        shown = [
            f"{word:g}" if isinstance(word, float) else str(word) for word in words if word not in (None, False, True)
        ]
        missing = [word for word in shown if word != "[]" and not re.search(rf"(?<!\w){re.escape(word)}\b", said[name])]
        assert missing == [], f"{name} in {document}"


def test_the_table_of_verbs_has_all_of_them() -> None:
    head, rows = next(tables(text_of(ROOT / "docs" / "commands.md")))
    assert head[0] == "verb"
    assert sorted(re.findall(r"`lightskip (\w+)", " ".join(row[0] for row in rows))) == sorted(VERBS)


def test_extras_that_are_named_exist() -> None:
    extras = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    named = {name for document in DOCUMENTS for name in re.findall(r"lightskip\[(\w+)\]", text_of(document))}
    assert named <= extras.keys()


# --- lists that the code has ------------------------------------------------------------------------------------------


def test_kinds_of_findings_are_those_of_the_code_with_their_severity() -> None:
    text = text_of(ROOT / "docs" / "own_dataset.md")
    listed = [
        (kind, head[0])
        for head, rows in tables(text)
        if head[0] in ("problem", "warning", "note")
        for row in rows
        for kind in re.findall(r"`([\w-]+)`", row[0])
    ]
    assert len(listed) == len(dict(listed))
    assert dict(listed) == SEVERITIES
    repaired = re.search(r"^`--fix` repairs (.*)$", text, flags=re.MULTILINE)
    assert repaired is not None
    assert set(re.findall(r"`([\w-]+)`", repaired[1])) == FIXABLE


def test_the_table_of_skips_names_the_registered_ones() -> None:
    from pipeline.networks import Skip  # noqa: PLC0415

    head, rows = next(tables(text_of(ROOT / "docs" / "skips.md")))
    assert head[0] == "name"
    assert {row[0].strip("`") for row in rows} == {name.lower() for name in Skip.names}


# --- words ------------------------------------------------------------------------------------------------------------

ODD = (
    r"told|tells?|telling",  # report, say
    r"lies|lying",  # is
    r"go(?:es)? on|going on",  # continue
    r"of ours|of yours",  # LightSkip's, your
    r"beside",  # next to
    r"hand(?:s|ed|ing)? over|handed",  # pass, return
    r"what is wrong|the way of|the way on",
)


@each
def test_words_are_plain(document: Path) -> None:
    text = without_code(text_of(document))
    found = re.findall(rf"\b(?:{'|'.join(ODD)})\b", text, flags=re.IGNORECASE)
    assert found == []


def test_the_readme_is_short() -> None:
    lines = text_of(README).splitlines()
    assert len(lines) < 150
    assert [line for line in lines if len(line) > 160] == []
    assert text_of(README).count("![") <= 2, "one picture, or one row of them"
