import json
from collections.abc import Callable
from pathlib import Path

from pipeline.bundle.unpack.examination import examine
from pipeline.bundle.unpack.report import as_json, as_text

Make = Callable[..., Path]


def test_the_most_notable_comes_first_and_those_alike_together(bundle: Make) -> None:
    config = {"a": "$1 + 1", "b": "$torch.device('cpu')", "c": "$import os", "d": "$os.system('id')", "e": "$1 + 1"}
    text = as_text(_of(bundle({"configs/z.json": json.dumps(config), "scripts/a.py": "import socket\n"})))
    order = [
        "!! scripts/a.py",
        "line 1: imports socket: reaches the network",
        "!! $os.system('id')",
        "os.system: runs programs",
        "in configs/z.json d",
        "!  $import os",
        "in configs/inference.json imports#0; configs/z.json c",
        "$torch.device('cpu')    [configs/z.json b]",
        "$@y + 1    [configs/inference.json x]",
        "$1 + 1    [configs/z.json a and 1 more]",
        "Besides, the usual classes of MONAI, PyTorch and Ignite are named 1 times: UNet.",
        "proves nothing",
        "In short: 2 marked !!, 2 marked !; weights loaded as data alone: 0 of 0 files; "
        "checksums that match: 0 of 5 files; to be downloaded: 0.",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert text.count("$1 + 1") == 1


def _of(folder: Path) -> object:
    return examine(folder, source=folder, name="spleen")


def test_no_text_of_a_stranger_moves_the_cursor(bundle: Make) -> None:
    expression = "$x\x1b[1A\x1b[2K\r\n" + "y" * 1000
    metadata = json.dumps({"version": "1\x1b[2J", "task": "a\nb\u202ec"})
    script = "import a\u202e\n"
    files = {
        "configs/a.json": json.dumps({"k\x07": expression}),
        "configs/metadata.json": metadata,
        "scripts/a.py": script,
    }
    found = _of(bundle(files))
    text = as_text(found)  # type: ignore[arg-type]
    assert all(letter.isprintable() for line in text.split("\n") for letter in line)
    assert "$x\\x1b[1A\\x1b[2K\\r\\ny" in text
    assert json.loads(as_json(found))["texts"][0]["text"] == expression  # type: ignore[arg-type]


def test_json_has_every_place_and_the_levels_in_words(bundle: Make) -> None:
    content = json.loads(as_json(_of(bundle({"models/model.pt": ""}))))  # type: ignore[arg-type]
    assert [(one["id"], one["level"]) for one in content["texts"]] == [("imports#0", "reaches"), ("x", "plain")]
    assert content["texts"][0]["remarks"] == [
        {"level": "reaches", "what": "imports os: reaches the operating system", "line": 1}
    ]
    assert content["problems"] == ["models/model.pt: an empty file"]
    assert content["about"]["packages"][0]["words"] == "newer here"
