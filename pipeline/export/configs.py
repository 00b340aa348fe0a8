"""Make the configs of an exported bundle: the recipes, changed by ``configs/export/`` to use MONAI's own parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..bundle.network_schema import network_component
from ..bundle.overrides import apply_override, normalise_id
from ..bundle.plan import Plan
from ..bundle.recipe import LEFT_OUT, fill_recipe
from ..bundle.render import recipe_sources
from ..data.errors import InputError
from .layout import Layout

__all__ = ["CONFIGS", "export_configs"]

CONFIGS = ("train", "evaluate", "inference", "multi_gpu_train", "multi_gpu_evaluate", "inference_trt")
_SEPARATOR = "::"
# The length of an exported training whose plan has a time limit instead: MONAI's own handlers have no clock.
_EPOCHS, _VALIDATIONS, _WARM_UP = 100, 20, 0.045
_CHANNEL = "_0000"
_CASES = (
    "$monai.data.load_decathlon_datalist(@datalist, True, 'training', @dataset_dir)"
    " if pathlib.Path(@dataset_dir).is_dir() and pathlib.Path(@datalist).is_file() else []"
)
_ANNOTATED = "${str(case['image']): {'annotated': case['annotated']} for case in @cases if 'annotated' in case}"


def export_configs(
    plan: Plan,
    file: Path,
    recipes: Path,
    *,
    target: str,
    spec: Mapping[str, Any],
    layout: Layout,
    with_datalist: bool,
) -> dict[str, dict[str, Any]]:
    """Return the configs of an exported bundle.

    Args:
        plan: the bundle's plan.
        file: the plan's file, for error messages.
        recipes: folder of the recipes.
        target: dotted name of the exported network's class.
        spec: spec of the exported network.
        layout: the folders and endings of the dataset's files.
        with_datalist: whether the bundle lists its dataset's files. Otherwise it takes what is in imagesTr and
            labelsTr.

    Returns:
        The content of each config by name. LightSkip's parts keep their names, ``pipeline.…``.

    Raises:
        InputError: a recipe has a mistake.
    """
    plan = _count_in_epochs(plan)
    sources = recipe_sources(plan, file, recipes)
    sources["skip"] = sources["skip"] | {"skip": spec["skip"]}
    datalist = sources["derived"]["datalist"] if with_datalist else None
    sources["derived"] |= _derive_expressions(plan, layout, datalist)
    sources["derived"]["network_def"] = network_component(target, spec)
    sources["derived"]["evaluation_marking"] = sources["derived"]["annotation_marking"]
    return {name: _merge_config(name, recipes, sources) for name in CONFIGS}


def _count_in_epochs(plan: Plan) -> Plan:
    """Return a plan whose training has a number of epochs, and lengths in epochs."""
    training = plan.training
    epochs = training.epochs or _EPOCHS
    lengths = {
        "epochs": epochs,
        "val_interval": training.val_interval or max(1, epochs // _VALIDATIONS),
        "warmup_epochs": round(_WARM_UP * epochs) if training.warmup_epochs is None else training.warmup_epochs,
    }
    return plan.model_copy(update={"training": training.model_copy(update=lengths)})


def _merge_config(name: str, recipes: Path, sources: dict[str, dict[str, Any]]) -> dict[str, Any]:
    base_file, file = recipes / f"{name}.yaml", recipes / "export" / f"{name}.yaml"
    config = fill_recipe(base_file, sources) if base_file.is_file() else {}
    changes = fill_recipe(file, sources | {"recipe": config})
    for id_ in changes.pop("drop", []):
        if not _remove_key(config, id_):
            raise InputError(
                f"{file}, drop",
                found=f"the key {id_}, which {base_file.name} does not have",
                expected="keys of that recipe",
                remedy="remove it from the list",
            )
    before = None
    for id_, value in changes.items():
        inside = _SEPARATOR in normalise_id(id_) and normalise_id(id_).partition(_SEPARATOR)[0] in config
        if inside and id_ not in config:
            if not apply_override(config, id_, value):
                raise InputError(
                    f"{file}, {id_}",
                    found="a key whose parent does not exist",
                    expected=f"a key of {base_file.name}",
                    remedy="correct the key",
                )
            continue
        config = config | {id_: value} if id_ in config else _insert_after(config, before, id_, value)
        before = id_
    return config


def _remove_key(config: dict[str, Any], id_: str) -> bool:
    """Remove a key in place. Return whether it was there."""
    if id_ in config:
        del config[id_]
        return True
    *parents, last = normalise_id(id_).split(_SEPARATOR)
    inner: Any = config
    for part in parents:
        inner = inner.get(part, {}) if isinstance(inner, dict) else {}
    if not isinstance(inner, dict) or last not in inner:
        return False
    del inner[last]
    return True


def _insert_after(config: dict[str, Any], before: str | None, id_: str, value: Any) -> dict[str, Any]:
    """Return the config with a new key after the key `before`, or at the end."""
    if before is None:
        return config | {id_: value}
    items = list(config.items())
    at = list(config).index(before) + 1
    return dict([*items[:at], (id_, value), *items[at:]])


def _derive_expressions(plan: Plan, layout: Layout, datalist: str | None) -> dict[str, Any]:
    channels = len(plan.data.channels)
    if datalist is not None:
        listed = {"cases": _CASES, "images": "$[case['image'] for case in @cases]"}
        listed["labels"] = "$[case['label'] for case in @cases]"
    else:
        listed = {"cases": "$[]", "images": f"${_scan_expression(f'/{layout.images}', layout.image_ending, channels)}"}
        listed["labels"] = f"${_label_expression(layout, channels)}"
    # The trainer's own setting, since MONAI Label changes it without changing `epochs`.
    epochs = "@train#trainer#max_epochs"
    interval = f"$next(n for n in range(min({plan.training.val_interval}, {epochs}), 0, -1) if {epochs} % n == 0)"
    scans = _scan_expression("", layout.image_ending, channels)
    # Without a datalist nothing is known about the annotation of a case.
    partial = plan.partial_labels and datalist is not None
    named = {"export_annotated": _ANNOTATED if partial else LEFT_OUT}
    if plan.partial_labels and not partial:
        named["annotated_sets"] = []
    return {
        "export_datalist": datalist,
        **named,
        "export_train_cases": _part_expression("!=", partial=partial),
        "export_val_cases": _part_expression("==", partial=partial),
        **{f"export_{key}": value for key, value in listed.items()},
        # Without the label maps that an earlier run wrote next to the scans.
        "export_scans": f"$[scan for scan in {scans} if not str(scan).endswith('_' + @output_postfix + @output_ext)]",
        "export_val_interval": interval,
        "export_no_scans": "$len(@datalist) > 0 or sys.exit('found no scans: set --dataset_dir to a folder with "
        f"*{layout.image_ending} files, or pass --datalist')",
        "export_scan_checks": _scan_checks(channels),
        "export_saver": _make_saver(channels, layout.image_ending),
    }


def _part_expression(sign: str, *, partial: bool) -> str:
    """Return the expression that lists the cases of the validation fold (==) or of the others (!=)."""
    named = ", **@annotated.get(str(image), {})" if partial else ""
    parts = "zip(@images, @labels, @folds, strict=True)"
    return f"$[{{'image': image, 'label': label{named}}} for image, label, fold in {parts} if fold {sign} @fold]"


def _scan_checks(channels: int) -> list[str]:
    if channels == 1:
        return []
    whole = f"isinstance(scan, str) or len(scan) == {channels}"
    message = f"'expected {channels} files per scan, NAME_0000, NAME_0001, ...; found ' + str(scan)"
    return [f"$[{whole} or sys.exit({message}) for scan in @datalist]"]


def _make_saver(channels: int, ending: str) -> list[dict[str, Any]]:
    """Return the settings of MONAI's SaveImaged. With several channels, NAME_0000 is saved as NAME_seg."""
    saver: dict[str, Any] = {"_target_": "SaveImaged", "keys": "pred"}
    for key in ("output_dir", "output_ext", "output_dtype", "output_postfix", "separate_folder"):
        saver[key] = f"@{key}"
    # The label map is in the scan's grid already.
    saver["resample"] = False
    if channels > 1:
        name = f"re.sub(r'_[0-9]{{4}}{re.escape(ending)}$', '{ending}', str(meta['filename_or_obj']))"
        saver["output_name_formatter"] = f"$lambda meta, saver: {{'subject': {name}, 'idx': None}}"
    return [saver]


def _scan_expression(folder: str, ending: str, channels: int) -> str:
    """Return the expression that lists a folder's scans, each a list of files if there are several channels."""
    files = f"sorted(glob.glob(glob.escape(@dataset_dir) + '{folder}/*{{}}'))"
    if channels == 1:
        return files.format(ending)
    # NAME_0000, NAME_0001, … are the channels of one scan. A file without a number has all channels.
    key = f"key=lambda file: file[:-{len(_CHANNEL + ending)}]"
    numbered = files.format(f"_[0-9][0-9][0-9][0-9]{ending}")
    grouped = f"[list(files) for _, files in itertools.groupby(sorted({numbered}, {key}), {key})]"
    return f"({grouped} or {files.format(ending)})"


def _label_expression(layout: Layout, channels: int) -> str:
    """Return the expression that lists the labels of ``@images``.

    Labels are found by name: matched by order, a missing one would shift all others.
    """
    name = f"os.path.basename(image).removesuffix('{layout.image_ending}')"
    if channels > 1:
        first = f"os.path.basename(image[0]).removesuffix('{layout.image_ending}')[:-{len(_CHANNEL)}]"
        name = f"({name} if isinstance(image, str) else {first})"
    return f"[@dataset_dir + '/{layout.labels}/' + {name} + '{layout.label_ending}' for image in @images]"
