import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from pipeline.evaluation.holm import holm


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03], [0.5], [0.9, 0.8, 0.001, 0.02, 0.02], [0.0, 1.0], []])
def test_holm_is_statsmodels(p):
    expected = multipletests(p, method="holm")[1] if p else []
    assert holm(p).tolist() == pytest.approx(list(expected))
    with_gaps = holm([math.nan, *p, math.nan])
    assert np.isnan(with_gaps[[0, -1]]).all()
    assert with_gaps[1:-1].tolist() == pytest.approx(list(expected))


def test_holm_by_hand():
    # 3 x .01 = .03; 2 x .03 = .06; 1 x .04 = .04, but at least .06.
    assert holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.5])
