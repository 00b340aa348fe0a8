"""On real scans the mildest level hardly hurts a trained network, and the hardest one does."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.study.robustness import measure_robustness

pytestmark = [pytest.mark.slow, pytest.mark.real]

BUNDLE = Path(__file__).resolve().parents[3] / "bundles" / "hippocampus_mri"


def test_dice_falls_from_mild_to_hard(real_data: Path) -> None:
    done = measure_robustness(BUNDLE, dataset_dir=real_data / "hippocampus", cases=3, runtime="pytorch")
    # The shipped weights have 0.895 on all 42 cases.
    assert done["dice"] == pytest.approx(0.895, abs=0.02)
    for curve in done["perturbations"]:
        dice = [done["dice"], *curve["dice"]]
        assert dice[1] > dice[0] - 0.02, curve["name"]
        assert dice[5] < dice[0] - 0.15, curve["name"]
        # A step up is chance, and small.
        assert max(np.diff(dice)) < 0.01, curve["name"]
