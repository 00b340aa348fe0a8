import hashlib
import json
from pathlib import Path

import pytest
import torch

from pipeline.networks.spec_file import read_outputs, read_spec, save_weights, spec_file, spec_text

SPEC = {"name": "vnet", "channels": [4, 8], "skip": ["sat", {"select": "hard"}]}
WEIGHTS = {"a": torch.zeros(2)}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_weights_are_written_with_their_spec(tmp_path):
    path = tmp_path / "run" / "model.pt"
    save_weights(WEIGHTS, path, SPEC)
    assert torch.equal(torch.load(path, weights_only=True)["a"], WEIGHTS["a"])
    assert json.loads((tmp_path / "run" / "model.json").read_text()) == {
        "network": SPEC,
        "weights_sha256": [sha256(path)],
    }
    assert read_spec(path) == SPEC
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.json", "model.pt"]


def test_names_of_outputs_belong_to_their_weights(tmp_path):
    path = tmp_path / "model.pt"
    save_weights(WEIGHTS, path, SPEC, ["background", "liver"])
    assert read_outputs(path) == ["background", "liver"]
    assert read_spec(path) == SPEC
    torch.save({"a": torch.ones(2)}, path)
    assert read_outputs(path) is None
    save_weights(WEIGHTS, path, SPEC)
    assert read_outputs(path) is None


def test_weights_without_a_spec_have_no_file(tmp_path):
    save_weights(WEIGHTS, tmp_path / "model.pt", None)
    assert not (tmp_path / "model.json").exists()
    assert read_spec(tmp_path / "model.pt") is None
    assert read_spec(tmp_path / "nowhere.pt") is None


def test_a_pair_belongs_together_wherever_writing_stops(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    save_weights(WEIGHTS, path, SPEC)
    before = sha256(path)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        # After the spec was written, before the weights get their name.
        patch.setattr("pathlib.Path.replace", lambda self, to: killed() if to == path else self.rename(to))
        with pytest.raises(KeyboardInterrupt):
            save_weights({"a": torch.ones(2)}, path, SPEC)
    assert sha256(path) == before
    assert read_spec(path) == SPEC
    save_weights({"a": torch.ones(2)}, path, SPEC)
    assert read_spec(path) == SPEC
    assert sha256(path) != before


def test_other_weights_that_were_copied_over_have_no_spec(tmp_path):
    path = tmp_path / "model.pt"
    save_weights(WEIGHTS, path, SPEC)
    torch.save({"a": torch.ones(2)}, path)
    assert read_spec(path) is None
    # A training of another network takes the place of both.
    save_weights(WEIGHTS, path, {**SPEC, "skip": "sum"})
    assert json.loads(spec_file(path).read_text())["weights_sha256"] == [sha256(path)]


NO_SUMS = '{"network": {"name": "vnet"}, "weights_sha256": null}'


@pytest.mark.parametrize("text", ["[1]", "{}", '{"network": "vnet"}', '{"network": {"skip": "sum"}}', NO_SUMS])
def test_a_file_of_another_program_says_nothing(tmp_path, text):
    torch.save(WEIGHTS, tmp_path / "model.pt")
    (tmp_path / "model.json").write_text(text)
    assert read_spec(tmp_path / "model.pt") is None
    save_weights(WEIGHTS, tmp_path / "model.pt", SPEC)
    assert read_spec(tmp_path / "model.pt") == SPEC


def test_text_that_is_not_json_is_an_error(tmp_path):
    torch.save(WEIGHTS, tmp_path / "model.pt")
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ValueError, match="Expecting"):
        read_spec(tmp_path / "model.pt")


def test_a_copy_under_another_name_keeps_it(tmp_path):
    save_weights(WEIGHTS, tmp_path / "model.pt", SPEC)
    (tmp_path / "best.pt").write_bytes((tmp_path / "model.pt").read_bytes())
    (tmp_path / "best.json").write_text(spec_text(SPEC, [sha256(tmp_path / "best.pt")]))
    assert read_spec(tmp_path / "best.pt") == SPEC


def test_the_shipped_weights_have_theirs():
    models = Path(__file__).resolve().parents[2] / "bundles" / "hippocampus_mri" / "models"
    spec = read_spec(models / "model.pt")
    assert spec is not None
    assert (spec["name"], spec["channels"]) == ("vnet", [16, 32, 64, 128])
