import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from pipeline.bundle.unpack.examination import Examination, examine
from pipeline.bundle.unpack.report import as_json, as_text

Make = Callable[..., Path]


def examined(folder: Path) -> Examination:
    return examine(folder, source=folder, name="spleen")


def test_equal_texts_are_grouped_and_nothing_is_left_out(bundle: Make) -> None:
    config = {
        "a": "$1 + 1",
        "b": "$torch.device('cpu')",
        "c": "$import os",
        "d": "$import os; os.system('id')",
        "e": "$1 + 1",
        "net": {"_target_": "scripts.net.Net"},
        "other": {"_target_": "$@d"},
        "f": "%other.json#x",
    }
    files = {"configs/z.json": json.dumps(config), "scripts/a.py": "import socket\n\nx = 1\n", "configs/y.yaml": "{"}
    text = as_text(examined(bundle(files)))
    order = [
        "Scripts and other programs: 1 file, 3 lines\n   scripts/a.py: Python, 3 lines, imports socket\n",
        "Classes and functions (_target_): 3 places\n",
        "   only known when it runs: $@d\n   package scripts: scripts.net.Net\n   without a package",
        "Imports ($import, $from): 2 places, 1 different\n   import os (2)\n",
        "Other expressions ($...): 5 places, 4 different\n   $@y + 1    [configs/inference.json x]\n",
        "   $1 + 1    [configs/z.json a and 1 more]\n",
        "   $torch.device('cpu')    [configs/z.json b]\n   $import os; os.system('id')    [configs/z.json d]",
        "Other configs that the configs read: 1 place\n   %other.json#x    [configs/z.json f]",
        "Files that could not be read: 1 place\n   not YAML",
        "In short: 5 expressions, 3 classes (_target_), 1 program and 1 other setting",
        "1 file could not be read.",
        "this report does not judge them",
        "matching checksums: 0 of 6 files; to be downloaded: 0; reasons to refuse it: 0\n",
    ]
    places = [" ".join(text.split()).index(" ".join(part.split())) for part in order]
    assert places == sorted(places)
    assert text.count("$1 + 1") == 1


def test_no_text_of_a_stranger_moves_the_cursor(bundle: Make) -> None:
    expression = "$x\x1b[1A\x1b[2K\r\n" + "y" * 1000
    metadata = json.dumps({"version": "1\x1b[2J", "task": "a\nb\u202ec"})
    config = {"k\x07": expression, "n": {"_target_": "a\x1b[2K"}, "i": "$import a\u202e", "r": {"_target_": "\x9b.x"}}
    files = {
        "configs/a.json": json.dumps(config),
        "configs/metadata.json": metadata,
        "scripts/a.py": "import a\u202e\n",
    }
    found = examined(bundle(files))
    text = as_text(found)
    assert all(letter.isprintable() for line in text.split("\n") for letter in line)
    assert "$x\\x1b[1A\\x1b[2K\\r\\ny" in text
    assert "characters more: --json FILE has them" in text
    assert expression in [one["text"] for one in json.loads(as_json(found))["texts"]]


def test_json_has_every_place(bundle: Make) -> None:
    files = {"models/model.pt": "", "scripts/a.py": "import os\n", "configs/z.json": '{"x": "$@y + 1"}'}
    content = json.loads(as_json(examined(bundle(files))))
    assert [(one["file"], one["id"], one["kind"], one["text"]) for one in content["texts"]] == [
        ("configs/inference.json", "imports#0", "expression", "$import os"),
        ("configs/inference.json", "x", "expression", "$@y + 1"),
        ("configs/inference.json", "net#_target_", "class", "UNet"),
        ("configs/z.json", "x", "expression", "$@y + 1"),
    ]
    (script,) = content["scripts"]
    assert (script["file"], script["lines"], script["imports"]) == ("scripts/a.py", 1, ["os"])
    assert script["sha256"] == hashlib.sha256(b"import os\n").hexdigest()
    assert content["problems"] == ["models/model.pt: an empty file"]
    assert content["about"]["packages"][0]["words"] == "newer here"
