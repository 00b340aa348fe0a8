"""The module in which nnU-Net finds LightSkip's trainers. It has a class for every name that it is asked for."""

from typing import Any

from pipeline.nnunet.trainer import make_trainer


def __getattr__(name: str) -> Any:
    """Return the trainer class of that name, such as ``LightSkipTrainer_unet_sat4``.

    Raises:
        AttributeError: the name does not begin with ``LightSkipTrainer``.
        InputError: it does, but names no network or skip. nnU-Net shows this message.
    """
    if name.startswith("LightSkipTrainer"):
        return make_trainer(name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
