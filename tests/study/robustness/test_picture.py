"""The picture has a panel for each perturbation and level, and the scan's own greys in the first column."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.data.errors import InputError
from pipeline.study.robustness import draw_perturbations

from ...probe.conftest import make_scan


@pytest.mark.parametrize("size", [(12, 22, 11), (22, 11)])
def test_rows_and_columns(size: tuple[int, ...]) -> None:
    scan = make_scan(size, seed=1)
    spacing = [1.0] * len(size)
    whole, some = (
        np.asarray(Image.open(io.BytesIO(draw_perturbations(scan, spacing, perturbations=names))))
        for names in (None, ["noise", "blur"])
    )
    # Eight rows and two, of the same height; six columns of 132 x 66 pixels.
    assert (whole.shape[0] - 6) * 2 == (some.shape[0] - 6) * 8
    assert some.shape == (2 * (66 + 22 + 6) + 6, 190 + 6 * (132 + 6), 3)
    first = some[28 : 28 + 66, 190 : 190 + 132, 0]
    plane = scan[6].T[::-1] if len(size) == 3 else scan.T
    expected = np.kron(np.clip(0.5 + (plane - scan.mean()) / (5 * scan.std()), 0, 1) * 255, np.ones((6, 6)))
    np.testing.assert_allclose(first, expected, atol=1)
    # Panels of other levels differ from it.
    assert np.abs(some[28 : 28 + 66, 190 + 5 * 138 : 190 + 5 * 138 + 132, 0] - expected).mean() > 10


def test_the_same_arguments_give_the_same_bytes() -> None:
    scan = make_scan((12, 10), seed=1)
    pictures = [draw_perturbations(scan, [1, 1], perturbations=["noise"], seed=seed) for seed in (0, 0, 1)]
    assert pictures[0] == pictures[1] != pictures[2]
    with pytest.raises(InputError, match="did you mean"):
        draw_perturbations(scan, [1, 1], perturbations=["nois"])
