from typing import Any

import pytest

from pipeline.data.errors import InputError
from pipeline.nnunet.choice import Choice
from pipeline.nnunet.settings import Settings, read_settings


def test_the_trainers_name_is_enough() -> None:
    sat = ["sat", {"select": "soft"}]
    assert read_settings(Choice("vnet", "sat"), {}) == Settings("vnet", sat, sparsity=1e-4)


def test_the_plans_are_enough() -> None:
    entry = {"name": "vnet", "skip": ["none", "none", "sat"], "sparsity": 0.01, "residual": "merged"}
    expected = Settings("vnet", ["none", "none", "sat"], sparsity=0.01, arguments={"residual": "merged"})
    assert read_settings(Choice(), {"lightskip": entry}) == expected


def test_the_plans_may_add_arguments_to_the_name() -> None:
    entry = {"name": "vnet", "sparsity": 0, "act": "prelu"}
    sat4 = ["sat", {"maps": 4, "gate": "linear", "merge": "sum"}]
    assert read_settings(Choice("vnet", "sat4"), {"lightskip": entry}) == Settings("vnet", sat4, 0.0, {"act": "prelu"})


def test_modules_with_the_users_own_skips_are_imported(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "own_skips_of_a_test.py").write_text("imported = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    read_settings(Choice("vnet", "sum"), {"lightskip": {"imports": ["own_skips_of_a_test"]}})
    import own_skips_of_a_test  # noqa: PLC0415

    assert own_skips_of_a_test.imported


@pytest.mark.parametrize(
    ("choice", "entry", "message"),
    [
        (Choice(), None, "no network, neither in the trainer's name nor in nnU-Net's plans"),
        (Choice("vnet", "sat"), {"skip": "sum"}, "skip 'sum', but the trainer's name has sat"),
        (Choice("vnet"), {"skip": "sta"}, "the skip connection sta"),
        (Choice("vnet"), {"out_channels": 3}, "the key out_channels"),
        (Choice("vnet"), {"sparsity": -1}, "sparsity -1"),
        (Choice("vnet"), "sat4", "'sat4'.*expected a mapping"),
    ],
)
def test_what_does_not_fit_is_refused(choice: Choice, entry: Any, message: str) -> None:
    configuration = {} if entry is None else {"lightskip": entry}
    with pytest.raises(InputError, match=rf"(?s){message}"):
        read_settings(choice, configuration)
