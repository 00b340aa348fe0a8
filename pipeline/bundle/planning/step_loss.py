"""The loss of a training step whose time or memory is measured."""

from monai.losses import DiceCELoss

__all__ = ["step_loss"]


def step_loss(outputs: int, *, batch: bool = False) -> DiceCELoss:
    """Return Dice and cross-entropy, called with logits (N, outputs, *spatial) and label maps (N, 1, *spatial).

    A network of one region has a sigmoid. More regions take about as long as labels, and as much memory.

    Args:
        outputs: channels of the network's output.
        batch: whether Dice is over the batch.
    """
    if outputs == 1:
        return DiceCELoss(sigmoid=True, batch=batch)
    return DiceCELoss(softmax=True, to_onehot_y=True, batch=batch)
