from pathlib import Path

import pytest
import yaml

from pipeline.bundle.edit_plan import replace_block
from pipeline.data.errors import InputError

BLOCK = "clean:  # why\n  holes: [ball]\n"


def edit_file(tmp_path: Path, text: str, block: str = BLOCK, *, key: str = "clean") -> str:
    file = tmp_path / "plan.yaml"
    file.write_bytes(text.encode())
    changed = replace_block(file, key, block)
    assert file.read_bytes().decode() == text
    return changed


@pytest.mark.parametrize(
    "old",
    [
        "clean: {holes: [cyst]}\n",
        "clean: {holes: [cyst],\n  largest: [ball]\n}\n",
        "clean:\n  # one reason\n  holes: [cyst]  # another\n\n  largest:\n  - ball\n  # a last one\n",
        "clean: null\n",
        'clean: "a: b"\n',
        "clean: >-\n  folded\n  text\n",
    ],
)
def test_replaces_the_lines_of_a_key_and_no_others(tmp_path: Path, old: str) -> None:
    before = "# heading\nname: a  # beside\nnested:\n  clean: 3\n\n# above clean\n"
    after = "\n# above last\nlast: [1,\n  2]\n# end\n"
    assert edit_file(tmp_path, before + old + after) == before + BLOCK + after
    assert edit_file(tmp_path, before + old + after, "") == before + after
    assert edit_file(tmp_path, before + old) == before + BLOCK


def test_a_new_key_comes_at_the_end(tmp_path: Path) -> None:
    text = "# heading\nname: a\nlast: 1  # beside\n# end\n"
    assert edit_file(tmp_path, text) == text + BLOCK
    assert edit_file(tmp_path, text.rstrip("\n")) == text + BLOCK
    assert edit_file(tmp_path, text, "") == text


def test_line_ends_stay_those_of_the_file(tmp_path: Path) -> None:
    text = "name: a\r\nclean: 3\r\nlast: 1\r\n"
    changed = edit_file(tmp_path, text)
    assert changed == "name: a\r\nclean:  # why\r\n  holes: [ball]\r\nlast: 1\r\n"
    assert yaml.safe_load(changed) == {"name": "a", "clean": {"holes": ["ball"]}, "last": 1}


@pytest.mark.parametrize("text", ["{name: a, clean: 3}\n", "{name: a}\n", "[1, 2]\n", "clean: 3\n? clean2\n: {a: [\n"])
def test_refuses_what_has_no_lines_of_its_own(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises((InputError, yaml.YAMLError)):
        replace_block(tmp_path / "plan.yaml", "clean", BLOCK)
