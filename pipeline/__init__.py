"""LightSkip: volumetric medical image segmentation with light, learnable skip connections, as MONAI bundles."""

from __future__ import annotations

import os
import sys

try:
    import logging
    import warnings
    from typing import Any
except KeyboardInterrupt:
    # These are most of what the command imports before it can catch Ctrl-C itself. With `python -m pipeline` the first
    # word is still -m here. In any other program the interrupt is that program's.
    if sys.argv[0] != "-m" and os.path.basename(sys.argv[0]).partition(".")[0] != "lightskip":  # noqa: PTH119
        raise
    sys.stderr.write("interrupted\n")
    sys.exit(130)

from .version import __version__ as __version__

# If pydicom is installed, MONAI looks for its GPU plugin, and warns twice that it is missing.
warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader")
logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)

# MONAI imports MLflow where it is installed, and MLflow would report its use to its makers.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def __getattr__(name: str) -> Any:
    """Return `predict` or `Predictor`, imported only on request because they need PyTorch and MONAI."""
    if name in {"predict", "Predictor"}:
        from . import prediction  # noqa: PLC0415

        return getattr(prediction, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
