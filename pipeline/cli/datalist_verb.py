"""The verb that lists a dataset's cases: datalist."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .words import require_path

__all__ = ["add_datalist_verb"]

_LAYOUTS = ("msd", "nnunet", "bids", "table", "totalsegmentator", "kits", "folders")


def add_datalist_verb(verbs: Any) -> None:
    """Add `datalist` to the subparsers."""
    datalist = verbs.add_parser(
        "datalist",
        help="list a dataset's cases, with folds and checksums",
        description="List a dataset's cases, with folds and checksums. The dataset is a folder in the layout of the "
        "Medical Segmentation Decathlon, nnU-Net, BIDS, TotalSegmentator or KiTS, or with names that say what is an "
        "image and what a label map; a zip of one; a table; or files by patterns: --images 'a/ilist*.nii.gz' --labels "
        "'a/slist*.nii.gz', paired by the text for the *.",
    )
    datalist.add_argument(
        "source", type=require_path, nargs="?", metavar="FOLDER|ZIP|TABLE", help="the dataset's folder"
    )
    datalist.add_argument("-o", "--output", type=require_path, required=True, metavar="FILE", help="JSON file to write")
    found = datalist.add_argument_group("files")
    found.add_argument("--layout", choices=_LAYOUTS, help="layout of the folder (default: detected)")
    found.add_argument("--images", nargs="+", default=[], metavar="PATTERN", help="images: one pattern per channel")
    found.add_argument(
        "--labels",
        metavar="PATTERN",
        help="label maps of the images, or a mask per class: 'seg/*_{liver,spleen}.nii.gz'",
    )
    found.add_argument(
        "--overlaps",
        choices=("auto", "keep", "last"),
        default="auto",
        help="masks that overlap: keep overlaps of more than 5%%, all, or none (default: %(default)s)",
    )
    found.add_argument(
        "--structures",
        nargs="+",
        default=[],
        metavar="NAME",
        help="structures of DICOM structure sets (RTSTRUCT) to take, as NAME or LABEL=NAME (default: all)",
    )
    found.add_argument("--dataset_dir", type=require_path, metavar="DIR", help="folder where relative paths start")
    found.add_argument(
        "--suffix", nargs="+", default=[], dest="suffixes", metavar="NAME", help="BIDS images: T1w FLAIR …"
    )
    found.add_argument("--label-suffix", metavar="NAME", help="BIDS label maps: dseg, mask, …")
    found.add_argument("--derivatives", metavar="NAME", help="BIDS pipeline that made the label maps")
    found.add_argument(
        "--unlabelled",
        choices=("refuse", "test", "ignore"),
        default="refuse",
        help="use of images without a label map (default: %(default)s)",
    )
    folds = datalist.add_argument_group("folds")
    folds.add_argument("--folds", type=int, help="number of folds (default: the dataset's own folds, or else 5)")
    folds.add_argument(
        "--splits", type=require_path, metavar="FILE", help="nnU-Net's splits_final.json, if it is elsewhere"
    )
    folds.add_argument("--seed", type=int, default=0, help="seed of shuffling into folds (default: %(default)s)")
    folds.add_argument("--subject", metavar="REGEX", help="pattern of file names; its first group is the subject")
    folds.add_argument("--group", metavar="COLUMN", help="keep cases with the same value in one fold")
    folds.add_argument(
        "--stratify", nargs="+", default=[], metavar="COLUMN", help="columns, or shape, spacing, to spread evenly"
    )
    words = datalist.add_argument_group("descriptions")
    words.add_argument("--name", help="name of the dataset")
    words.add_argument("--licence", help="licence of the data")
    words.add_argument(
        "--label-names", nargs="+", metavar="NAME", help="background liver …, or VALUE=NAME: 0=membrane 255=background"
    )
    words.add_argument(
        "--channel-names", nargs="+", metavar="NAME", help="CT, MRI, T1, …: they decide how to normalise"
    )
    words.add_argument(
        "--regions",
        nargs="+",
        metavar="NAME=LABELS",
        help="regions of labels, which may overlap: whole=1,2,3 core=2,3, or names of labels",
    )
    words.add_argument(
        "--region-order",
        nargs="+",
        metavar="NAME=LABEL",
        help="label that each region writes into label maps, the first one first (default: larger regions first)",
    )
    words.add_argument(
        "--ignore", type=int, nargs="+", metavar="VALUE", help="values in the label maps of voxels without annotation"
    )
    words.add_argument("--portable", action="store_true", help="leave out the dataset's folder on this machine")
    words.add_argument("--no-checksums", action="store_true", help="do not read the files")
    datalist.set_defaults(run=_datalist)


def _datalist(options: argparse.Namespace) -> int:
    from ..data.check_outside import describe_files_outside  # noqa: PLC0415
    from ..data.datalist_output import check_output, check_output_is_new  # noqa: PLC0415
    from ..data.datalist_summary import format_summary  # noqa: PLC0415
    from ..data.layouts import find  # noqa: PLC0415
    from ..data.layouts.structure_sets import draw_structure_sets  # noqa: PLC0415
    from ..data.make_datalist import make_datalist, write_json  # noqa: PLC0415

    check_output(options.output, options.source)
    found = find(
        options.source,
        images=options.images,
        labels=options.labels,
        layout=options.layout,
        dataset_dir=options.dataset_dir,
        suffixes=options.suffixes,
        label_suffix=options.label_suffix,
        derivatives=options.derivatives,
        unlabelled=options.unlabelled,
        keep_folds=options.folds is None,
        splits=options.splits,
        unpack_to=options.output.with_name(f"{options.output.stem}_files"),
    )
    check_output_is_new(options.output, found)
    masks = options.output.with_name(f"{options.output.stem}_structures")
    found = draw_structure_sets(found, masks, structures=options.structures)
    datalist = make_datalist(
        found,
        relative_to=None if options.portable else options.output.parent,
        folds=options.folds,
        seed=options.seed,
        subject=options.subject,
        group=options.group,
        stratify=options.stratify,
        label_names=options.label_names,
        channel_names=options.channel_names,
        regions=options.regions,
        region_order=options.region_order,
        ignore=options.ignore,
        checksums=not options.no_checksums,
        merge_into=options.output.with_name(f"{options.output.stem}_labels"),
        overlaps=options.overlaps,
        extra={key: value for key in ("name", "licence") if (value := getattr(options, key)) is not None},
    )
    write_json(datalist, options.output)
    print(format_summary(datalist, found, options.output))
    if not options.portable and (note := describe_files_outside(options.output)):
        print(f"note: {note}", file=sys.stderr)
    return 0
