import re
from pathlib import Path

import pytest

from pipeline.bundle.plan import load_plan
from pipeline.data.errors import InputError

PLAN = """\
name: hippocampus
title: Hippocampus in T1 MRI
version: 0.1.0
changelog:
  0.1.0: first version
task: Segmentation of the hippocampus
description: A V-Net.
intended_use: Research only.
authors: LightSkip maintainers
copyright: Copyright (c) LightSkip maintainers
data:
  source: Medical Segmentation Decathlon
  licence: CC-BY-SA-4.0
  modality: MRI
  channels: [T1]
labels: {background: 0, anterior: 1, posterior: 2}
orientation: RAS
spacing: [1, 1, 1.5]
normalisation: zscore
network:
  channels: [16, 32, 64]
  convs_per_level: [1, 2, 2]
  decoder_convs_per_level: [1, 2]
  kernel_size: 3
  norm: [instance, {affine: true}]
  act: prelu
patch: [40, 56, 40]
window: [48, 64, 48]
batch: 2
mirror_axes: [0, 1]
skip: sat
training:
  epochs: 100
  val_interval: 5
  learning_rate: 3e-3
  weight_decay: 1.0e-5
  warmup_epochs: 5
  early_stop_patience: 10
  seed: 0
"""


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def edit_text(old: str, new: str) -> str:
    assert PLAN.count(old) == 1
    return PLAN.replace(old, new)


def line_of(text: str, start: str) -> int:
    return next(i for i, line in enumerate(text.splitlines(), start=1) if line.startswith(start))


@pytest.mark.parametrize("name", ["", "plan.yaml"])
def test_reads_folder_or_file_and_fills_defaults(tmp_path: Path, name: str) -> None:
    plan = load_plan(write(tmp_path, PLAN) / name)
    assert plan.labels == {"background": 0, "anterior": 1, "posterior": 2}
    assert plan.training.learning_rate == 0.003  # PyYAML alone reads "3e-3" as text
    assert (plan.spacing, plan.spatial_dims, plan.size_divisor) == ([1.0, 1.0, 1.5], 3, (4, 4, 4))
    assert (plan.window_overlap, plan.imports, plan.evaluation.tolerance_mm, plan.data.manifest) == (0.5, [], 1.0, None)


def test_what_is_left_out_is_as_before_there_was_a_key_for_it(tmp_path: Path) -> None:
    plan = load_plan(write(tmp_path, PLAN))
    assert (plan.label_values, plan.intensity_mean, plan.intensity_std, plan.class_ratios) == (None, None, None, None)
    assert (plan.training.minutes, plan.training.cache_rate, plan.data.folder) == (None, 1.0, None)
    assert not any(plan.postprocessing.model_dump().values())


def test_two_axes(tmp_path: Path) -> None:
    text = PLAN.replace("[1, 1, 1.5]", "[1, 1]").replace("[40, 56, 40]", "[64, 64]").replace("[48, 64, 48]", "[64, 96]")
    assert load_plan(write(tmp_path, text)).spatial_dims == 2
    areas = load_plan(write(tmp_path, text + "postprocessing: {minimum_mm2: {anterior: 4}}\n"))
    assert areas.postprocessing.minimum_mm2 == {"anterior": 4.0}
    with pytest.raises(InputError, match=r"postprocessing\.minimum_ml is not for the 2 axes.*use minimum_mm2"):
        load_plan(write(tmp_path, text + "postprocessing: {minimum_ml: {anterior: 4}}\n"))


def test_labels_are_cleaned_by_their_names(tmp_path: Path) -> None:
    text = "postprocessing:\n  largest_component: [anterior]\n  minimum_ml: {posterior: 0.5}\n"
    steps = load_plan(write(tmp_path, PLAN + text)).postprocessing
    assert (steps.largest_component, steps.fill_holes) == (["anterior"], [])
    assert (steps.minimum_ml, steps.minimum_mm2) == ({"posterior": 0.5}, {})


def test_kernels_and_strides_for_thick_slices(tmp_path: Path) -> None:
    thick = "kernel_size: [[3, 3, 1], 3, 3]\n  strides: [[2, 2, 1], 2]"
    text = edit_text("kernel_size: 3", thick).replace("[40, 56, 40]", "[40, 56, 6]")
    plan = load_plan(write(tmp_path, text))
    assert (plan.network.kernel_size, plan.network.strides) == ([[3, 3, 1], 3, 3], [[2, 2, 1], 2])
    assert plan.size_divisor == (4, 4, 2)
    plan = load_plan(write(tmp_path, edit_text("kernel_size: 3", "kernel_size: [3, 3, 1]\n  strides: [2, 2]")))
    assert (plan.network.kernel_size, plan.size_divisor) == ([3, 3, 1], (4, 4, 4))


@pytest.mark.parametrize(
    ("size", "divisor", "nearest"),
    [
        ("[40, 56, 5]", "(4, 4, 2)", "[40, 56, 4] and [40, 56, 6]"),
        ("[41, 56, 1]", "(4, 4, 2)", "[40, 56, 2] and [44, 56, 2]"),
    ],
)
def test_nearest_sizes_are_told_by_axis(tmp_path: Path, size: str, divisor: str, nearest: str) -> None:
    text = edit_text("kernel_size: 3", "kernel_size: 3\n  strides: [2, [2, 2, 1]]").replace("[40, 56, 40]", size)
    with pytest.raises(InputError) as raised:
        load_plan(write(tmp_path, text))
    message = f"patch must be divisible by {divisor} (a factor of two for each level of "
    message += "network.channels below the finest, except where network.strides has 1); "
    message += f"the nearest such sizes are {nearest} (found {size})"
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "start", "message"),
    [
        ("skip: sat", "skp: sat", "skp", r"skp is not a key of a plan; did you mean skip\?"),
        (
            "  kernel_size",
            "  kernal_size",
            "  kernal",
            r"network\.kernal_size .*did you mean network\.kernel_s",
        ),
        # An argument of another network than the plan's.
        (
            "  kernel_size",
            "  growth: 4\n  kernel_size",
            "  growth",
            r"network\.growth is not .*keys here: name, channels",
        ),
        ("batch: 2", "batch: 2\nepochs: 3", "epochs", r"epochs is not .*did you mean training\.epochs\?"),
        ("batch: 2", "batch: 2\nxyzzy: 3", "xyzzy", r"xyzzy is not a key of a plan; keys here: name, title"),
        ("batch: 2", 'batch: "2"', "batch", r"batch should be a valid integer \(found '2'\)"),
        ("batch: 2", "batch: true", "batch", r"batch should be a valid integer"),
        ("batch: 2", "batch: 0", "batch", r"batch should be greater than 0"),
        ("version: 0.1.0\nc", "version: 0.2\nc", "version", r"version should be a valid string \(found 0\.2\)"),
        ("version: 0.1.0\nc", "version: 1.0.0\nc", "changelog", r"changelog has no entry for the version 1\.0\.0"),
        ("name: hip", "name: 1 hip", "name", r"name must be a name of letters.*\(found '1 hippocampus'\)"),
        ("version: 0.1.0\nc", "version: v0.1.0\nc", "version", r"version must be three numbers"),
        ("modality: MRI", "modality: MR", "  modality", r"data\.modality should be 'MRI', 'CT'"),
        ("channels: [T1]", "channels: []", "  channels", r"data\.channels .*at least 1"),
        ("{background: 0, anterior: 1", "{anterior: 1", "labels", r"labels must contain background: 0"),
        ("posterior: 2", "posterior: 3", "labels", r"labels must be the consecutive integers 0 to 2"),
        ("posterior: 2", "posterior: 1", "labels", r"labels must be the consecutive integers 0 to 2"),
        (", anterior: 1, posterior: 2", "", "labels", r"labels needs at least one label besides background"),
        ("anterior: 1", "anterior: 1.5", "labels", r"labels\.anterior should be a valid integer"),
        ("RAS", "RAL", "orientation", r"orientation must be three letters"),
        ("RAS", "ras", "orientation", r"orientation must be three letters"),
        ("1.5]", "-1.5]", "spacing", r"spacing\.2 should be greater than 0"),
        ("1.5]", ".inf]", "spacing", r"spacing\.2 should be a finite number"),
        ("[1, 1, 1.5]", "[1]", "spacing", r"spacing .*at least 2"),
        ("zscore", "ct", "normalisation", r"normalisation needs intensity_range: \[low, high\]"),
        ("zscore", "ct\nintensity_range: [5, 5]", "intensity", r"intensity_range must be \[low, high\]"),
        ("zscore", "zscore\nintensity_range: [1, 5]", "normalisation", r"normalisation does not use"),
        (
            "zscore",
            "ct\nintensity_range: [1, 5]\nintensity_mean: 3",
            "normalisation",
            r"needs intensity_mean and intens",
        ),
        (
            "zscore",
            "ct\nintensity_range: [1, 5]\nintensity_std: 3",
            "normalisation",
            r"needs intensity_mean and intens",
        ),
        ("zscore", "zscore\nintensity_mean: 3\nintensity_std: 1", "normalisation", r"does not use intensity_mean and"),
        ("zscore", "zscore\nintensity_std: 0", "intensity_std", r"intensity_std should be greater than 0"),
        (
            "batch: 2",
            "batch: 2\nlabel_values: {background: 255, anterior: 0}",
            "label_values",
            r"label_values must map e",
        ),
        (
            "batch: 2",
            "batch: 2\nlabel_values: {background: 0, anterior: 2, posterior: 2}",
            "label_v",
            r"to a different value, and",
        ),
        (
            "batch: 2",
            "batch: 2\nlabel_values: {background: 0, anterior: 1, tail: 2}",
            "label_values",
            r"and name no others",
        ),
        ("batch: 2", "batch: 2\nclass_ratios: [1, 1]", "class_ratios", r"class_ratios needs 3 numbers, one per label"),
        ("batch: 2", "batch: 2\nclass_ratios: [0, 0, 0]", "class_ratios", r"one of them above 0"),
        (
            "batch: 2",
            "batch: 2\nclass_ratios: [1, -1, 1]",
            "class_ratios",
            r"class_ratios\.1 should be greater than or",
        ),
        ("  seed: 0", "  seed: 0\n  minutes: 0", "  minutes", r"training\.minutes should be greater than 0"),
        (
            "  seed: 0",
            "  seed: 0\n  cache_rate: 1.1",
            "  cache_rate",
            r"training\.cache_rate should be less than or equal",
        ),
        (
            "  modality: MRI",
            '  modality: MRI\n  folder: ""',
            "  folder",
            r"data\.folder should have at least 1 character",
        ),
        (
            "convs_per_level: [1, 2, 2]",
            "convs_per_level: [1, 2]",
            "  convs",
            r"network\.convs_per_level needs 3 entries",
        ),
        ("level: [1, 2]\n", "level: [1, 2, 2]\n", "  decoder", r"network\.decoder_convs_per_level needs 2 entries"),
        ("kernel_size: 3", "kernel_size: 4", "  kernel", r"network\.kernel_size must be an odd number .*\(found 4\)"),
        ("kernel_size: 3", "kernel_size: [3, 3]", "  kernel", r"network\.kernel_size needs 3 entries.*\[3, 3\]\)"),
        ("size: 3", "size: [[3, 3, 2], 3, 3]", "  kernel", r"network\.kernel_size must be an odd number .* per level"),
        ("size: 3", "size: [[[3]], 3, 3]", "  kernel", r"network\.kernel_size must be an odd number"),
        ("size: 3", "size: [[3, 3, 1], 3]", "  kernel", r"network\.kernel_size needs 3 entries, .* for 3 levels"),
        ("size: 3", "size: [[3, 1], 3, 3]", "  kernel", r"network\.kernel_size needs lists of 3 entries, one per axis"),
        ("act: prelu", "act: prelu\n  strides: 2", "  strides", r"network\.strides must be a list with an entry per"),
        ("act: prelu", "act: prelu\n  strides: [2, 1]", "  strides", r"network\.strides must be .* one of them 2 "),
        ("act: prelu", "act: prelu\n  strides: [2, [2, 2, 3]]", "  strides", r"network\.strides must be"),
        ("act: prelu", "act: prelu\n  strides: [[2, 2, 1]]", "  strides", r"network\.strides needs 2 .* 3 levels"),
        ("act: prelu", "act: prelu\n  strides: [[2, 1], 2]", "  strides", r"network\.strides needs lists of 3 entries"),
        ("act: prelu", "act: [prelu]", "  act", r"network\.act must be a name"),
        ("[40, 56, 40]", "[40, 56]", "patch", r"patch needs 3 entries, one per axis"),
        (
            "[40, 56, 40]",
            "[40, 57, 3]",
            "patch",
            r"patch must be divisible by 4 .*nearest such sizes are \[40, 56, 4\] and \[40, 60, 4\]",
        ),
        ("[48, 64, 48]", "[48, 64, 50]", "window", r"window must be divisible by 4"),
        ("batch: 2", "batch: 2\nwindow_overlap: 1.0", "window_overlap", r"window_overlap should be less than 1"),
        ("mirror_axes: [0, 1]", "mirror_axes: [3]", "mirror", r"mirror_axes must be different axes from 0 to 2"),
        ("mirror_axes: [0, 1]", "mirror_axes: [1, 1]", "mirror", r"mirror_axes must be different axes"),
        ("skip: sat", "skip: {skp: sat}", "skip", r"skip\.skp is not a key of a plan"),
        ("skip: sat", "skip: ../sat", "skip", r"skip .*found '\.\./sat'"),
        ("val_interval: 5", "val_interval: 500", "  val", r"training\.val_interval must be at most the 100 epochs"),
        ("  epochs: 100\n", "", "training", r"training\.minutes must be a number where there are no epochs"),
        (
            "  epochs: 100\n",
            "  minutes: 5\n",
            "  warmup_epochs",
            r"training\.warmup_epochs needs epochs; without them leave it out",
        ),
        ("  seed: 0\n", "", "training", r"training\.seed is missing"),
        (
            "batch: 2",
            "batch: 2\npostprocessing: {largest_component: [anterio]}",
            "postprocessing",
            r"postprocessing\.largest_component names anterio, which is not one of the labels anterior, posterior; "
            r"did you mean anterior\? \(found \['anterio'\]\)",
        ),
        (
            "batch: 2",
            "batch: 2\npostprocessing:\n  fill_holes: [background]",
            "  fill_holes",
            r"postprocessing\.fill_holes names background, which is not one of the labels anterior, posterior \(",
        ),
        (
            "batch: 2",
            "batch: 2\npostprocessing:\n  minimum_ml: {xyz: 1}",
            "  minimum_ml",
            r"postprocessing\.minimum_ml names xyz",
        ),
        (
            "batch: 2",
            "batch: 2\npostprocessing: {fill_holes: [anterior, anterior]}",
            "postprocessing",
            r"postprocessing\.fill_holes must name each label once",
        ),
        (
            "batch: 2",
            "batch: 2\npostprocessing: {minimum_ml: {anterior: 0}}",
            "postprocessing",
            r"postprocessing\.minimum_ml\.anterior should be greater than 0",
        ),
        (
            "batch: 2",
            "batch: 2\npostprocessing: {minimum_mm2: {anterior: 3}}",
            "postprocessing",
            r"postprocessing\.minimum_mm2 is not for the 3 axes of spacing; use minimum_ml",
        ),
        (
            "batch: 2",
            "batch: 2\npostprocessing: {fill_hole: [anterior]}",
            "postprocessing",
            r"postprocessing\.fill_hole is not a key of a plan; did you mean postprocessing\.fill_holes\?",
        ),
        ("task: Segmentation of the hippocampus\n", "", "name", r"task is missing"),
    ],
)
def test_names_the_key_the_line_and_what_is_wrong(tmp_path: Path, old: str, new: str, start: str, message: str) -> None:
    text = edit_text(old, new)
    with pytest.raises(InputError) as raised:
        load_plan(write(tmp_path, text))
    assert re.search(rf"\n  line {line_of(text, start)}: .*{message}", str(raised.value))
    assert str(tmp_path / "plan.yaml") in str(raised.value)


def test_lists_every_problem_at_once(tmp_path: Path) -> None:
    text = PLAN.replace("batch: 2", "bach: 2").replace("RAS", "XYZ").replace("[40, 56, 40]", "[41, 56, 40]")
    with pytest.raises(InputError) as raised:
        load_plan(write(tmp_path, text))
    for word in ("4 problems", "bach is not", "batch is missing", "orientation must", "patch must"):
        assert word in str(raised.value)


def test_a_message_stays_short(tmp_path: Path) -> None:
    text = PLAN + "".join(f"key_{number}: 0\n" for number in range(30)) + f"imports: {'x' * 5000}\n"
    with pytest.raises(InputError) as raised:
        load_plan(write(tmp_path, text))
    message = str(raised.value)
    assert "found 31 problems" in message
    assert message.endswith("\n  and 11 more.")
    with pytest.raises(InputError) as raised:
        load_plan(write(tmp_path, PLAN + f"imports: {'x' * 5000}\n"))
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAN + "batch: 3\n", r"batch twice, on lines 29 and 40"),
        (PLAN.replace("  seed: 0", "  seed: 0\n  seed: 1"), r"training\.seed twice, on lines 39 and 40"),
        ("name: a\n  title: b\n", r"plan\.yaml, line 2, column 8: found text that is not YAML: mapping values"),
        ("name: [a\n", r"plan\.yaml, line 2, column 1: found text that is not YAML"),
        ("name: !!python/name:os.system x\n", r"plan\.yaml, line 1, column 7: found text that is not YAML: could not"),
        ("", r"found an empty file"),
        ("- a\n", r"found a list at the top level"),
    ],
)
def test_refuses_text_that_is_no_plan(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_plan(write(tmp_path, text))


def test_refuses_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no readable file"):
        load_plan(tmp_path)
    (tmp_path / "plan.yaml").write_bytes(b"name: \xff")
    with pytest.raises(InputError, match="not UTF-8"):
        load_plan(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch: 2", "batch: 2\n'[x]': 1", r"line 30: \[x\] is not a key of a plan; keys here: name"),
        ("kernel_size: 3", "kernel_size: 3\n  a[0]: 1", r"line 25: network\.a\[0\] is not a key of a plan"),
        ("batch: 2", "batch: 2\n1: 1", r"line 30: 1 Keys should be strings"),
        ("version: 0.1.0", "version: 2020-13-41", r"line 3, column 10: .*cannot be read as timestamp"),
        ("version: 0.1.0", "version: 2020-10-10", r"line 3: version should be a valid string"),
        ("batch: 2", "batch: !!int x", r"line 29, column 8: .*cannot be read as int"),
        ("batch: 2", "batch: !!bool maybe", r"line 29, column 8: .*cannot be read as bool"),
        ("batch: 2", f"batch: {'7' * 5000}", r"line 29, column 8: .*cannot be read as int"),
        ("batch: 2", f"batch: {'7' * 40}", r"line 29, column 8: .*an integer of more than 64 bits"),
        ("batch: 2", "batch: \x07", r"line 29: .*special characters are not allowed"),
        ("batch: 2", f"batch: {'[' * 3000}{']' * 3000}", r"line 29, column \d+: .*more than 50 levels"),
        ("batch: 2", "batch: &a [*a]", r"line 29, column 8: .*more than 50 levels"),
        ("batch: 2", "batch: !!python/name:os.getcwd", r"line 29, column 8: .*could not determine a constructor"),
        ("batch: 2", "? [batch]\n: 2", r"line 29, column 3: .*a key that is no text"),
        (
            "name: hippocampus",
            f"name: {'a' * 101}",
            r"line 1: name must be a name of letters, digits and _, at most 100",
        ),
    ],
)
def test_damaged_text_is_one_message_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        load_plan(write(tmp_path, edit_text(old, new)))
    assert re.search(message, str(raised.value))
    assert "plan.yaml" in str(raised.value)


def test_repeated_keys_under_aliases_do_not_grow(tmp_path: Path) -> None:
    # Each level has the one before twice, under the same key: 2^40 values, and 40 lines.
    levels = "".join(f"a{n}: &a{n} {{k: *a{n - 1}, k: *a{n - 1}}}\n" for n in range(1, 40))
    with pytest.raises(InputError, match=r"more than 100,000 values"):
        load_plan(write(tmp_path, f"a0: &a0 1\n{levels}"))
