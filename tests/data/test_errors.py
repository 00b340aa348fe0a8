import copy
import json
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import pytest

from pipeline.data.errors import InputError, explain_errors
from pipeline.data.images.door import read_volume


def an_error(where="scan.nii.gz", **changes):
    return InputError(where, **{"found": "nothing", "expected": "a scan", "remedy": "copy it there", **changes})


def test_message_names_place_finding_expectation_and_remedy():
    assert str(an_error()) == "scan.nii.gz: found nothing; expected a scan. What to do: copy it there."


def test_message_ends_with_one_full_stop():
    assert str(an_error(remedy="copy it there.")).endswith("copy it there.")


def test_a_question_needs_no_full_stop():
    assert str(an_error(remedy="did you mean sat?")).endswith("What to do: did you mean sat?")


def test_python_callers_catch_it_as_a_value_error():
    with pytest.raises(ValueError, match="found nothing"):
        raise an_error()


@pytest.mark.parametrize(
    ("others", "lines", "last"),
    [
        (1, 3, "  0.nii: nothing"),
        (10, 12, "  9.nii: nothing"),
        (12, 13, "  … and 2 more"),
    ],
)
def test_other_files_follow_one_per_line_and_ten_at_most(others, lines, last):
    message = str(an_error(others=[an_error(f"{number}.nii") for number in range(others)])).splitlines()
    assert len(message) == lines
    assert message[1].startswith(f"and {others} more file")
    assert message[-1] == last


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_copies_are_whole_and_free_of_the_traceback(again):
    with pytest.raises(InputError) as raised:
        raise an_error(others=[an_error("b.nii")])
    error, other = raised.value, again(raised.value)
    assert type(other) is InputError
    assert str(other) == str(error)
    assert (other.where, other.found, other.expected, other.remedy) == (
        "scan.nii.gz",
        "nothing",
        "a scan",
        "copy it there",
    )
    assert [str(one) for one in other.others] == [str(one) for one in error.others]
    assert other.__traceback__ is None


def test_comes_back_from_a_worker_process():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool, pytest.raises(InputError) as raised:
        # A function of the package: the worker cannot import this test file.
        pool.submit(read_volume, "nowhere.nii.gz").result()
    assert str(raised.value).startswith("nowhere.nii.gz: found no such file; expected")


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


RAISE = """
from pipeline.data.errors import InputError, explain_errors
explain_errors()
def fail(): raise InputError("scan.nii.gz", found="nothing", expected="a scan", remedy="copy it there")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "chain",
    [
        "fail()",
        """
try: fail()
except Exception as e: raise RuntimeError("in a config") from e
""",
        """
try:
    try: fail()
    except Exception as e: raise RuntimeError("in a config") from e
except Exception as e: raise RuntimeError("in another config") from e
""",
        """
try: fail()
except Exception: raise RuntimeError("while handling it")
""",
    ],
    ids=["itself", "cause", "cause of a cause", "context"],
)
def test_program_ends_with_the_message_alone(chain):
    ended = run(RAISE + chain)
    assert ended.returncode == 1
    assert ended.stderr == "error: scan.nii.gz: found nothing; expected a scan. What to do: copy it there.\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chain", "kind"),
    [
        ("{}['missing']", "KeyError: 'missing'"),
        ("try: fail()\nexcept Exception: raise TypeError('a bug') from None", "TypeError: a bug"),
        ("try: fail()\nexcept Exception: raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
    ids=["another error", "cut chain", "Ctrl-C"],
)
def test_everything_else_keeps_its_traceback(chain, kind):
    ended = run(RAISE + chain)
    assert ended.returncode != 0
    assert "Traceback (most recent call last)" in ended.stderr
    assert ended.stderr.rstrip().endswith(kind)


def test_hook_is_installed_once_and_passes_other_errors_on(monkeypatch, capsys):
    passed_on = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: passed_on.append(error))
    explain_errors()
    hook = sys.excepthook
    explain_errors()
    assert sys.excepthook is hook
    bug, mistake = KeyError("bug"), an_error()
    hook(KeyError, bug, None)
    hook(InputError, mistake, None)
    with monkeypatch.context() as child:
        # In a process whose parent has ended, a lost connection to it says nothing.
        child.setattr("pipeline.data.errors.parent_process", lambda: "the parent")
        hook(ConnectionResetError, ConnectionResetError(104, "reset"), None)
    assert passed_on == [(KeyError, bug, None)]
    assert capsys.readouterr().err == f"error: {mistake}\n"


def test_monai_bundle_run_ends_with_one_message(warm_start, tmp_path):
    config = tmp_path / "inference.json"
    content = {
        "imports": ["$from pipeline.data import explain_errors", "$from pipeline.data import find_scans"],
        "initialize": ["$explain_errors()"],
        "scans": "$find_scans('nowhere')",
        "run": ["$print(@scans)"],
    }
    config.write_text(json.dumps(content))
    ended = warm_start("-m", "monai.bundle", "run", "--config_file", config)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("error: ") == 1
    assert "nowhere: found no such folder" in ended.stderr


def test_signs_that_steer_a_terminal_are_shown_as_codes():
    """Words from a stranger's file: colours, a bell, another direction of writing."""
    error = InputError("a.nii", found="\x1b]0;x\x07 \u202egpj.\x9b \0", expected="größer,\n\t≤ 3", remedy="a\rb")
    assert str(error) == (
        "a.nii: found \\x1b]0;x\\x07 \\u202egpj.\\x9b \\x00; expected größer,\n\t≤ 3. What to do: a\\rb."
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
