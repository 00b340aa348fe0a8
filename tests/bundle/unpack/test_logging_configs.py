from pathlib import Path

import pytest

from pipeline.bundle.unpack.logging_configs import list_logging_code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[handlers]\nkeys=a\n[handler_a]\nclass=StreamHandler\nlevel=INFO\nargs=(sys.stdout,)\n"
            "[formatter_b]\nformat=%(message)s\nclass=scripts.Formatter\n",
            {
                "handler_a#class": "StreamHandler",
                "handler_a#args": "(sys.stdout,)",
                "formatter_b#class": "scripts.Formatter",
            },
        ),
        # What a setting takes in is listed with it.
        ("[handler_a]\nx=os.system('id')\nargs=('%(x)s',)\n", {"handler_a#args": "('%(x)s',)", "handler_a#x": None}),
        (
            "[handler_a]\nclass=%(y)s\n[DEFAULT]\ny=os.system\n",
            {"handler_a#class": "%(y)s", "handler_a#y": "os.system"},
        ),
        ("[DEFAULT]\nargs=(f(),)\n[handler_a]\nlevel=INFO\n", {"handler_a#args": "(f(),)"}),
        ("[formatter_b]\nformat=%(message)s\ndefaults={'a': f()}\n", {"formatter_b#defaults": "{'a': f()}"}),
        ("[handler_a]\nKWARGS={}\n", {"handler_a#kwargs": "{}"}),
    ],
)
def test_what_python_evaluates_is_listed(tmp_path: Path, text: str, expected: dict[str, str | None]) -> None:
    (tmp_path / "logging.conf").write_text(text)
    found = {one.id: one.text for one in list_logging_code(tmp_path, ["logging.conf"])}
    assert found.keys() == expected.keys()
    assert all(expected[key] in (None, value) for key, value in found.items())


@pytest.mark.parametrize("text", ["no section", "#" * 2**20 + "\n[handler_a]\nargs=()\n"])
def test_a_logging_config_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "logging.conf").write_text(text)
    (found,) = list_logging_code(tmp_path, ["logging.conf", "LICENSE"])
    assert found.kind == "unreadable"
