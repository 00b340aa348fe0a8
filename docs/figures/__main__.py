"""Write the figures of the documents: `python docs/figures` after a change of a network or a skip."""

import sys
from pathlib import Path

from network_figures import NETWORK_FIGURES, draw_network
from skip_figures import SKIP_SHEETS, draw_skips

from pipeline.files import write_text

IMAGES = Path(__file__).resolve().parents[1] / "images"


def main() -> int:
    """Write one figure per network, and the sheets of skips. Return 0."""
    for name, figure in NETWORK_FIGURES.items():
        write_text(IMAGES / f"network_{name}.svg", draw_network(figure).svg())
    for name, figures in SKIP_SHEETS.items():
        write_text(IMAGES / f"{name}.svg", draw_skips(figures).svg())
    return 0


if __name__ == "__main__":
    sys.exit(main())
