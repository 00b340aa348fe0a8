from pathlib import Path

import pytest

from pipeline.bundle.unpack.judge import ACTING, PLAIN, REACHING
from pipeline.bundle.unpack.logging_configs import logging_of

LOGGING = """\
[handlers]
keys=a
[handler_a]
class={handler}
args={args}
[formatter_b]
format=%(message)s
"""


@pytest.mark.parametrize(
    ("handler", "args", "level"),
    [
        ("StreamHandler", "(sys.stdout,)", PLAIN),
        ("logging.StreamHandler", "()", PLAIN),
        ("FileHandler", "('a.log',)", REACHING),
        ("scripts.Handler", "()", ACTING),
        ("StreamHandler", "(__import__('os').system('id'),)", ACTING),
        ("StreamHandler", "(sys.modules['os'],)", ACTING),
        ("StreamHandler", "(", ACTING),
        ("__import__('os').system('id')", "()", ACTING),
    ],
)
def test_what_python_evaluates_in_a_logging_config(tmp_path: Path, handler: str, args: str, level: int) -> None:
    (tmp_path / "logging.conf").write_text(LOGGING.format(handler=handler, args=args))
    found = logging_of(tmp_path, ["logging.conf"])
    assert [one.id for one in found] == ["handler_a#class", "handler_a#args"]
    assert max(one.level for one in found) == level


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("[handler_a]\nx=__import__('os').system('id')\nargs=('%(x)s',)\n", ACTING),
        ("[handler_a]\nclass=%(y)s\n[DEFAULT]\ny=os.system\n", ACTING),
        ("[DEFAULT]\nargs=(__import__('os').system('id'),)\n[handler_a]\nlevel=INFO\n", ACTING),
        ("[formatter_b]\nformat=%(message)s\ndefaults=__import__('os').system('id')\n", ACTING),
        ("[formatter_b]\nformat=%(message)s\ndefaults={'a': 1}\n", PLAIN),
        ("[handler_a]\nargs=" + "-" * 3000 + "1\n", ACTING),
        ("#" * 2**20 + "\n[handler_a]\nargs=()\n", ACTING),
    ],
)
def test_settings_that_python_puts_together(tmp_path: Path, text: str, level: int) -> None:
    (tmp_path / "logging.conf").write_text(text)
    (found,) = logging_of(tmp_path, ["logging.conf"])
    assert found.level == level


def test_a_logging_config_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "logging.conf").write_text("no section")
    (found,) = logging_of(tmp_path, ["logging.conf", "LICENSE"])
    assert (found.kind, found.level) == ("unreadable", ACTING)
