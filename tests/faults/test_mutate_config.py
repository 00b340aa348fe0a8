import json

import pytest
import yaml

from .mutate_config import KINDS, mutate_override, mutate_text

_PLAN = "name: a\nlabels:\n  background: 0\n  liver: 1\nspacing: [1.0, 1.0, 2.5]\ntraining:\n  seed: 0\n"
_DATALIST = json.dumps({"training": [{"image": "a.nii", "label": "b.nii", "fold": 0}], "labels": {"0": "x"}}, indent=1)


@pytest.mark.parametrize("text", [_PLAN, _DATALIST], ids=["YAML", "JSON"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_a_text_and_the_same_seed_in_the_same_way(kind: str, text: str) -> None:
    changed = [mutate_text(text, seed=seed, kind=kind)[1] for seed in range(20)]
    assert changed == [mutate_text(text, seed=seed, kind=kind)[1] for seed in range(20)]
    assert sum(content != text.encode() for content in changed) >= 15


def test_changed_values_keep_the_syntax() -> None:
    for seed in range(30):
        json.loads(mutate_text(_DATALIST, seed=seed, kind="change values")[1])
        yaml.safe_load(mutate_text(_PLAN, seed=seed, kind="change a value")[1])


def test_overrides_have_a_key_and_a_value() -> None:
    drawn = [mutate_override(["epochs", "inferer#overlap"], seed=seed) for seed in range(50)]
    assert drawn == [mutate_override(["epochs", "inferer#overlap"], seed=seed) for seed in range(50)]
    assert len(set(drawn)) > 30
