"""When two logits count as the same."""

import pytest
import torch

from pipeline.inference.logits import explain_difference

LOGITS = torch.tensor([[3.0, -4.0], [0.0, 0.0]])  # of norm 5


@pytest.mark.parametrize(("precision", "limit"), [("float32", 0.02), ("float16", 0.05), ("bfloat16", 0.25)])
def test_a_share_of_the_norm_may_differ(precision: str, limit: float) -> None:
    for share, is_same in ((0.9 * limit, True), (1.1 * limit, False)):
        found = LOGITS.clone()
        found[1, 1] += 5 * share
        assert (explain_difference(found, LOGITS, precision) == "") is is_same
    assert explain_difference(LOGITS, LOGITS, precision) == ""


def test_the_difference_is_named() -> None:
    assert explain_difference(2 * LOGITS, LOGITS, "float32") == "other logits than plain PyTorch's: by 100%, over 2%"
    assert explain_difference(LOGITS[:1], LOGITS, "float32").endswith("of shape (1, 2), not (2, 2)")
    for wrong in (float("nan"), float("inf")):
        assert explain_difference(LOGITS * wrong, LOGITS, "bfloat16")
    # Of nothing, any difference is too much.
    assert explain_difference(LOGITS, 0 * LOGITS, "bfloat16")
    assert explain_difference(0 * LOGITS, 0 * LOGITS, "bfloat16") == ""


def test_short_formats_are_compared_in_float32() -> None:
    # The norm is beyond float16.
    large = torch.full((4,), 60000.0, dtype=torch.float16)
    assert explain_difference(large, large, "float16") == ""
    assert explain_difference(-large, large, "float16")
