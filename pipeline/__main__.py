"""``python -m pipeline`` is the command ``lightskip``."""

import sys

from .cli import main

sys.exit(main())
