import math

import pytest
import torch
from monai.inferers import SlidingWindowInferer

from pipeline.data.errors import InputError
from pipeline.inference import PrecisionSlidingWindowInferer
from pipeline.inference.finite import require_finite

MESSAGE = "the network: found an output that is not finite"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_value_that_is_not_finite_is_refused(value):
    logits = torch.zeros(3, 4, 5)
    require_finite(logits)
    logits[1, 2, 3] = value
    with pytest.raises(InputError, match=MESSAGE):
        require_finite(logits)


def test_a_class_may_be_ruled_out_and_rows_may_be_empty():
    logits = torch.zeros(3, 4, 5)
    logits[1] = -math.inf
    require_finite(logits)
    require_finite(logits[:, :0])


def test_an_evaluation_stops_at_an_output_that_overflows():
    def network(x):
        return x * 3e38 * 10

    volume = torch.ones(1, 1, 8, 8, 8)
    assert SlidingWindowInferer(roi_size=(4, 4, 4))(volume, network).isinf().all()
    with pytest.raises(InputError, match=MESSAGE):
        PrecisionSlidingWindowInferer(roi_size=(4, 4, 4))(volume, network)
