"""Print the folder for nnU-Net's environment variable: ``export nnUNet_extTrainer="$(python -m pipeline.nnunet)"``."""

import sys

from . import EXTERNAL_FOLDER

sys.stdout.write(f"{EXTERNAL_FOLDER}\n")
