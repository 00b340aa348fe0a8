"""The command line: one short function per verb, which calls what does the work."""

import argparse
import ast
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __version__

__all__ = ["main"]

# Imports of the work sit inside the verbs: `lightskip --help` must not wait for PyTorch.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        arguments: the words after ``lightskip``; by default the process's own.

    Returns:
        The exit status: 0, 1 when a check found differences, 2 for a mistake of the user's, 130 when interrupted.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.verb is None:
        parser.print_help(sys.stderr)
        return 2
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        print("error: drawing needs matplotlib; install it with: pip install 'lightskip[report]'", file=sys.stderr)
        return 2
    except ValueError as error:
        # Imported only now: what defines the error imports PyTorch.
        from .data.errors import InputError  # noqa: PLC0415

        if not isinstance(error, InputError):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2


def _sample(options: argparse.Namespace) -> int:
    from .data.sample import make_sample  # noqa: PLC0415

    print(make_sample(options.folder, cases=options.cases, scans=options.scans, seed=options.seed))
    return 0


def _datalist(options: argparse.Namespace) -> int:
    from .data.make_datalist import make_datalist, write_json  # noqa: PLC0415

    write_json(make_datalist(options.folder, folds=options.folds, seed=options.seed), options.output)
    print(options.output)
    return 0


def _render(options: argparse.Namespace) -> int:
    from .bundle.render import check_rendered, write_rendered  # noqa: PLC0415

    if not options.check:
        for bundle in options.bundles:
            print(*write_rendered(bundle), sep="\n")
        return 0
    differences = [diff for bundle in options.bundles for diff in check_rendered(bundle).values()]
    print(*differences, sep="", end="")
    return 1 if differences else 0


def _curve(options: argparse.Namespace) -> int:
    from .report.figures import draw_curve  # noqa: PLC0415

    draw_curve(options.history, options.output)
    print(options.output)
    return 0


def _picture(options: argparse.Namespace) -> int:
    from .report.figures import draw_segmentation  # noqa: PLC0415

    names = dict(enumerate(options.names, start=1)) or None
    draw_segmentation(options.scan, dict(options.labels), options.output, label_names=names)
    print(options.output)
    return 0


def _bench(options: argparse.Namespace) -> int:
    from .bench import as_json, as_table, bench  # noqa: PLC0415
    from .files import write_text  # noqa: PLC0415

    measured = bench(
        options.bundle,
        dataset_dir=options.dataset_dir,
        steps=options.steps,
        warmup=options.warmup,
        cases=options.cases,
        device=options.device,
        overrides=dict(options.set),
    )
    if options.output:
        write_text(options.output, as_json(measured))
    print(as_table(measured))
    return 0


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE, such as skip=concat")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def _named_file(text: str) -> tuple[str, Path]:
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=FILE, such as reference=label.nii.gz")
    return name, Path(file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lightskip",
        description="Volumetric segmentation with light skip connections, as MONAI bundles.",
        epilog="Bundles are trained, evaluated and applied by MONAI: python -m monai.bundle run",
    )
    parser.add_argument("--version", action="version", version=f"lightskip {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")

    sample = verbs.add_parser("sample", help="write a small drawn dataset to try everything with")
    sample.add_argument("folder", type=Path, metavar="DIR", help="folder to write it to")
    sample.add_argument("--cases", type=int, default=24, help="labelled scans, for training (default: %(default)s)")
    sample.add_argument("--scans", type=int, default=4, help="scans to predict (default: %(default)s)")
    sample.add_argument("--seed", type=int, default=0, help="the same seed draws the same scans (default: %(default)s)")
    sample.set_defaults(run=_sample)

    datalist = verbs.add_parser("datalist", help="list a dataset's cases, in folds, with checksums")
    datalist.add_argument("folder", type=Path, metavar="MSD_FOLDER", help="folder with imagesTr and labelsTr")
    datalist.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="JSON file to write")
    datalist.add_argument("--folds", type=int, default=5, help="folds for cross-validation (default: %(default)s)")
    datalist.add_argument("--seed", type=int, default=0, help="of the shuffling into folds (default: %(default)s)")
    datalist.set_defaults(run=_datalist)

    render = verbs.add_parser("render", help="write a bundle's configs from its plan and the recipes")
    render.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE", help="a bundle's folder, with plan.yaml")
    render.add_argument("--check", action="store_true", help="write nothing; show what differs and exit with 1")
    render.set_defaults(run=_render)

    curve = verbs.add_parser("curve", help="draw the curve of a training")
    curve.add_argument("history", type=Path, metavar="HISTORY.csv", help="the training's history")
    curve.add_argument("-o", "--output", type=Path, required=True, metavar="PNG", help="picture to write")
    curve.set_defaults(run=_curve)

    picture = verbs.add_parser("picture", help="draw a scan with the outlines of its label maps")
    picture.add_argument("scan", type=Path, metavar="SCAN", help="the scan")
    picture.add_argument(
        "--labels",
        type=_named_file,
        nargs="+",
        default=[],
        metavar="NAME=FILE",
        help="label maps and what to call them",
    )
    picture.add_argument("--names", nargs="+", default=[], metavar="NAME", help="names of label 1, 2, ...")
    picture.add_argument("-o", "--output", type=Path, required=True, metavar="PNG", help="picture to write")
    picture.set_defaults(run=_picture)

    bench = verbs.add_parser("bench", help="measure how near a bundle's training and inference are to the limit")
    bench.add_argument("bundle", type=Path, metavar="BUNDLE", help="a bundle's folder, with rendered configs")
    bench.add_argument("--dataset_dir", type=Path, metavar="DIR", help="its dataset (default: random scans)")
    bench.add_argument("--steps", type=int, default=20, help="training steps to time (default: %(default)s)")
    bench.add_argument("--warmup", type=int, default=3, help="training steps before them (default: %(default)s)")
    bench.add_argument("--cases", type=int, default=2, help="scans to time in inference (default: %(default)s)")
    bench.add_argument("--device", metavar="DEVICE", help="cpu, cuda:0, ... (default: the config's choice)")
    bench.add_argument(
        "--set",
        type=_setting,
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="overrides of the config, such as skip=concat or network_def#dropout=0.1",
    )
    bench.add_argument("-o", "--output", type=Path, metavar="FILE", help="JSON file to write the numbers to, too")
    bench.set_defaults(run=_bench)
    return parser
