"""The weights of a training's last epoch: which they are, and what is no state of a training."""

import pytest
import torch

from pipeline.data.errors import InputError
from pipeline.networks.spec_file import read_spec
from pipeline.study.weights import plain_weights, save_last_epoch

SPEC = {"name": "vnet", "channels": [2, 4]}


def make_state(**more):
    return {"network": {"a": torch.zeros(2)}, "optimizer": {}, "network_spec": SPEC, "identity": {"fold": 3}, **more}


@pytest.fixture
def training(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.mark.parametrize(("more", "expected"), [({}, 0.0), ({"average": {"a": torch.ones(2)}}, 1.0)])
def test_both_ways_give_the_average_or_else_the_network_with_its_spec(training, more, expected):
    torch.save(make_state(**more), training / "last.pt")
    file = save_last_epoch(training)
    assert file == training / "last_epoch" / "model.pt"
    assert torch.load(file)["a"].tolist() == [expected] * 2
    assert read_spec(file) == SPEC
    for path in (training, training / "last.pt"):
        with plain_weights(path) as (copy, fold):
            assert torch.load(copy)["a"].tolist() == [expected] * 2
            assert (read_spec(copy), fold) == (SPEC, 3)
        assert not copy.exists()


def test_a_file_of_weights_is_taken_as_it_is_but_is_no_state(training):
    torch.save({"a": torch.zeros(2)}, training / "last.pt")
    with plain_weights(training / "last.pt") as found:
        assert found == (training / "last.pt", None)
    with pytest.raises(InputError, match=r"last\.pt: found no state of a training"):
        save_last_epoch(training)


@pytest.mark.parametrize(("content", "words"), [(None, "no such file"), (b"half", "cannot load"), (b"", "cannot load")])
def test_a_missing_or_damaged_file_is_named(training, content, words):
    if content is not None:
        (training / "last.pt").write_bytes(content)
    with pytest.raises(InputError, match=words):
        save_last_epoch(training)
    with pytest.raises(InputError, match=words), plain_weights(training):
        pass
