"""Run the command ``lightskip`` as ``python -m pipeline``."""

import sys

from .cli import main

sys.exit(main())
