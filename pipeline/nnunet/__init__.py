"""Train LightSkip's networks inside nnU-Net v2: a trainer class that nnU-Net finds as an external trainer.

``choice.py`` reads the name of a trainer, ``settings.py`` the entry ``lightskip`` of nnU-Net's plans, ``network.py``
turns nnU-Net's plans into the spec of a network, ``trainer.py`` is the trainer. Only ``trainer.py`` imports nnU-Net.
nnU-Net imports every module in the folders of ``nnUNet_extTrainer``, as top-level modules. So ``external/`` has one.
"""

from pathlib import Path

__all__ = ["EXTERNAL_FOLDER"]

# The folder for nnU-Net's environment variable nnUNet_extTrainer.
EXTERNAL_FOLDER = Path(__file__).resolve().parent / "external"
