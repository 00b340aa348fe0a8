"""Draw a scan with every perturbation of `pipeline.study.robustness` at every level.

    python benchmarks/perturbations.py                         # a case of the built-in sample, for the documents
    python benchmarks/perturbations.py SCAN.nii.gz --spacing 1 -o perturbations.png

A scan in 3D is turned to RAS and resampled to cubes, as a bundle does before it normalises. A picture stays as it is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measure import say
from monai.transforms import Orientation, Spacing

from pipeline.data.case_names import case_stem
from pipeline.data.errors import InputError
from pipeline.data.reader import LoadScand
from pipeline.data.sample import make_sample
from pipeline.files import whole_file
from pipeline.study.robustness import draw_perturbations

__all__ = ["main"]

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "perturbations.png"


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, and write the picture. Return 0, or 2 if the scan cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", nargs="?", type=Path, help="the scan; by default a case of the built-in sample")
    parser.add_argument("--spacing", type=float, default=1.5, help="side of the cubes in mm, in 3D (1.5)")
    parser.add_argument("--seed", type=int, default=0, help="seed of noise, field and texture (0)")
    parser.add_argument("-o", "--output", type=Path, default=PICTURE, help="the picture, PNG")
    options = parser.parse_args(arguments)
    try:
        if options.scan is None:
            with tempfile.TemporaryDirectory() as folder:
                make_sample(Path(folder) / "sample", cases=4, scans=0)
                picture = draw(
                    Path(folder) / "sample" / "imagesTr" / "sample_000.nii.gz", options.spacing, options.seed
                )
        else:
            picture = draw(options.scan, options.spacing, options.seed)
        with whole_file(options.output) as temporary:
            temporary.write_bytes(picture)
    except InputError as error:
        say(f"error: {error}")
        return 2
    say(f"written to {options.output}")
    return 0


def draw(file: Path, spacing: float, seed: int) -> bytes:
    """Return the picture of the first channel of a scan's file."""
    scan = LoadScand(keys="scan", ensure_channel_first=True)({"scan": str(file)})["scan"]
    if scan.ndim == 4:
        scan = Spacing(pixdim=[spacing] * 3, mode="bilinear")(Orientation("RAS", labels=None)(scan))
    sides = [float(side) for side in scan.pixdim[: scan.ndim - 1]]
    return draw_perturbations(np.asarray(scan[0]), sides, seed=seed, case=case_stem(file.name))


if __name__ == "__main__":
    sys.exit(main())
