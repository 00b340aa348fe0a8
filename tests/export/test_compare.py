import pytest
import torch
from torch import nn

from pipeline.export.compare import compare_forms, load_form, round_up


class Shifted(nn.Module):
    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.shift


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_largest_difference_is_found(tmp_path):
    torch.jit.script(Shifted(0.25)).save(tmp_path / "model.ts")
    program = torch.export.export(Shifted(-0.5), (torch.zeros(2, 1, 4),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    torch.export.save(program, tmp_path / "model.pt2")
    files = [tmp_path / "model.ts", tmp_path / "model.pt2"]
    found = compare_forms(Shifted(0).eval(), files, (1, 4))
    assert found == pytest.approx({"model.ts": 0.25, "model.pt2": 0.5}, abs=1e-6)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"weights\.pt: expected a TorchScript"):
        load_form(tmp_path / "weights.pt")


@pytest.mark.parametrize(("difference", "stated"), [(0, 0), (9.5e-6, 1e-5), (1e-5, 1e-5), (1.1e-5, 1e-4), (3, 10)])
def test_differences_are_stated_as_powers_of_ten(difference, stated):
    assert round_up(difference) == stated
