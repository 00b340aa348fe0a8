import errno
from itertools import pairwise

import pytest

from pipeline.data.config_errors import explain_config_errors
from pipeline.data.errors import InputError


def _chain(*errors: Exception) -> Exception:
    """Return the first error, each caused by the next one."""
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    return errors[0]


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        (
            (
                RuntimeError("Failed to evaluate ConfigExpression: \n'$check_settings()'"),
                RuntimeError("Failed to evaluate ConfigExpression: \n'$1/0'"),
                ZeroDivisionError("division by zero"),
            ),
            r"a\.json: found \$1/0, which cannot be evaluated \(ZeroDivisionError: division by zero\)",
        ),
        (
            (RuntimeError("Failed to instantiate component 'a.B' with keywords: {}"), TypeError("x\n" * 999)),
            r"found a\.B, which cannot be built \(TypeError: x x .{1,300}…\)",
        ),
        (
            (ModuleNotFoundError("Cannot locate class or function path: 'nothing.at.all'."),),
            r"found nothing\.at\.all, which is no class or function",
        ),
        ((KeyError("@nothing"),), r"found a value that cannot be used \(KeyError: '@nothing'\)"),
    ],
    ids=["expression", "component", "class", "other"],
)
def test_the_innermost_part_is_named(errors: tuple[Exception, ...], message: str) -> None:
    with pytest.raises(InputError, match=message), explain_config_errors("a.json"):
        raise _chain(*errors)


def test_an_input_error_behind_is_raised_itself() -> None:
    known = InputError("a", found="b", expected="c", remedy="d")
    with pytest.raises(InputError) as raised, explain_config_errors("a.json"):
        raise _chain(RuntimeError("Failed to evaluate"), known)
    assert raised.value is known


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ImportError("no", name="matplotlib.pyplot"),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed writing file data.pkl"),
    ],
    ids=["memory", "package", "disk", "disk in words"],
)
def test_errors_of_the_machine_stay(error: Exception) -> None:
    wrapped = _chain(RuntimeError("Failed to instantiate component 'a'"), error)
    with pytest.raises(RuntimeError) as raised, explain_config_errors("a.json"):
        raise wrapped
    assert raised.value is wrapped


def test_an_error_about_a_file_is_raised_itself() -> None:
    full = OSError(28, "No space left on device", "a.pt")
    with pytest.raises(OSError, match="No space left") as raised, explain_config_errors("a.json"):
        raise _chain(RuntimeError("Failed to instantiate component 'a'"), full)
    assert raised.value is full


def test_errors_while_an_engine_runs_stay() -> None:
    source = "def run():\n    raise RuntimeError('cases differ')\n"
    names: dict[str, object] = {}
    exec(compile(source, "site-packages/monai/engines/trainer.py", "exec"), names)  # stands for MONAI's file
    with pytest.raises(RuntimeError, match="cases differ"), explain_config_errors("a.json", running=True):
        names["run"]()  # type: ignore[operator]
    with pytest.raises(InputError), explain_config_errors("a.json", running=True):
        raise RuntimeError("Failed to instantiate component 'a'")
