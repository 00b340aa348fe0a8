"""The runs of a study: which, in which order, under which names, and what is refused."""

import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml

from pipeline.data.errors import InputError
from pipeline.study.expand import expand_study
from pipeline.study.read_study import read_study
from pipeline.study.schema import Budget

from .conftest import STUDY, changed

REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_combination_with_all_arms_of_a_seed_first(runs):
    assert [(run.seed, run.arm.skip) for run in runs] == [
        (0, "concat"), (0, "sat"), (0, "only 0"), (1, "concat"), (1, "sat"), (1, "only 0"),
    ]  # fmt: skip
    assert len({run.id for run in runs}) == 6
    first = runs[0]
    assert first.id.startswith("synthetic_shapes_vnet_channels=_2_4_convs_concat_")
    assert "_fold0_seed0_2epochs_" in first.id
    assert first.arm.spec["channels"] == [2, 4]
    assert first.arm.spec["norm"] == ["instance", {"affine": True}]  # the bundle's
    assert runs[1].arm.skip_definition == ["sat", {"select": "soft"}]
    assert runs[1].arm.sparsity == 1e-4  # of configs/skips/sat.yaml
    assert runs[2].arm.skip_definition == ["concat", {"only": 0}]


def test_folds_multiply_the_runs_and_a_group_has_its_own(write):
    content = changed("arms", 0, "seeds", to=[7])
    content["folds"] = [0, 2]
    runs = expand_study(read_study(write(content)))
    assert [(run.seed, run.fold) for run in runs] == [(7, 0), (7, 2)] * 3


def test_labels_and_the_name_of_the_study_do_not_change_a_digest(write, runs):
    content = changed("arms", 0, "skips", 2, "label", to="another name")
    content["name"] = content["question"] = "other"
    others = expand_study(read_study(write(content)))
    assert [run.id.rpartition("_")[2] for run in runs] == [run.id.rpartition("_")[2] for run in others]
    assert runs[2].id != others[2].id


@pytest.mark.parametrize(
    "content",
    [
        changed("budget", to={"epochs": 3}),
        changed("precision", to="bfloat16"),
        changed("threads", to=2),
        changed("arms", 0, "overrides", "learning_rate", to=0.1),
        changed("arms", 0, "networks", 0, "channels", to=[4, 4]),
    ],
)
def test_settings_change_every_digest(write, runs, content):
    others = expand_study(read_study(write(content)))
    assert not {run.id.rpartition("_")[2] for run in runs} & {run.id.rpartition("_")[2] for run in others}


def test_texts_of_a_plan_do_not_change_a_digest_and_its_numbers_do(write, runs, tmp_path):
    bundle = tmp_path / "synthetic_shapes"
    shutil.copytree(REPOSITORY / "bundles" / "synthetic_shapes", bundle, ignore=shutil.ignore_patterns("runs", "data"))
    plan = yaml.safe_load((bundle / "plan.yaml").read_text())
    file = write(changed("arms", 0, "bundle", to=str(bundle)))

    def ids(**changes):
        (bundle / "plan.yaml").write_text(yaml.safe_dump({**plan, **changes}))
        return [run.id for run in expand_study(read_study(file))]

    assert ids(title="other", skip="concat") == [run.id for run in runs]
    assert ids(training={**plan["training"], "epochs": 7, "val_interval": 1}) == [run.id for run in runs]
    assert ids(mirror_axes=[0]) != [run.id for run in runs]
    assert ids(training={**plan["training"], "learning_rate": 0.5}) != [run.id for run in runs]


def test_another_network_takes_the_plans_widths_kernels_and_norm(write):
    runs = expand_study(read_study(write(changed("arms", 0, "networks", to=["unet"]))))
    spec = runs[0].arm.spec
    assert spec["name"] == "unet"
    assert spec["channels"] == [16, 32, 64]
    assert "residual" not in spec


def test_a_variant_is_an_arm_of_the_same_network(write):
    networks = [
        {"name": "unet", "label": "U-Net"},
        {"name": "unet", "label": "U-Net", "variant": "cSE", "recalibrate": "cse"},
    ]
    content = changed("arms", 0, "networks", to=networks)
    content["arms"][0]["skips"] = ["concat"]
    runs = expand_study(read_study(write(content)))
    assert [(run.arm.network, run.arm.skip) for run in runs[:2]] == [("U-Net", "concat"), ("U-Net", "concat, cSE")]
    assert runs[1].arm.spec["recalibrate"] == "cse"


def test_datasets_by_the_name_of_their_bundle(study, tmp_path):
    assert expand_study(study)[0].arm.dataset_dir is None
    given = expand_study(study, {"synthetic_shapes": tmp_path})
    assert given[0].arm.dataset_dir == tmp_path
    assert [run.id for run in given] == [run.id for run in expand_study(study)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed("arms", 0, "bundle", to="synthetic_shape"), "synthetic_shapes"),
        (changed("arms", 0, "bundle", to="x/b"), "no configs/train.json"),
        (changed("arms", 0, "networks", to=["vnett"]), "did you mean vnet?"),
        (changed("arms", 0, "networks", to=[{"name": "vnet", "chanels": [2, 4]}]), "chanels"),
        (changed("arms", 0, "skips", 1, to="satt"), "did you mean sat"),
        (changed("arms", 0, "skips", 1, to={"skip": ["concat", {"only": 9}]}), "level"),
        (changed("arms", 0, "skips", 1, to="concat"), "two arms with the name"),
        (changed("arms", 0, "overrides", "patch", to=[15, 16, 16]), "sizes that divide by [2, 2, 2]"),
        (
            changed("arms", 0, "networks", to=[{"name": "unet", "channels": [2] * 6}]),
            "sizes that divide by [32, 32, 32]",
        ),
        (changed("arms", 0, "overrides", "patch", to=[2, 2, 2]), "more than one voxel at the deepest level"),
        (changed("arms", 0, "overrides", "learning_rat", to=1), "did you mean learning_rate?"),
        (changed("arms", 0, "overrides", "seed", to=1), "keys that the study does not set itself"),
        (changed("baseline", to="concatt"), "did you mean concat?"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_starts(write, content, words):
    with pytest.raises(InputError) as error:
        expand_study(read_study(write(content)))
    assert words in str(error.value)


def test_budgets_in_words():
    assert Budget(epochs=6).words() == "6 epochs"
    assert Budget(minutes=2.5).words() == "2.5 min"


@pytest.mark.slow
@pytest.mark.parametrize(
    "file", sorted((REPOSITORY / "configs" / "studies").glob("*.yaml")), ids=lambda file: file.stem
)
def test_the_repositorys_own_studies_can_run(file):
    study = read_study(file)
    assert study.study.name == file.stem
    assert len(study.study.seeds) >= 3
    assert expand_study(study)


def test_the_study_is_not_changed_by_expanding_it(study):
    before = study.study.model_dump()
    expand_study(study)
    assert study.study.model_dump() == before
    assert STUDY["seeds"] == [0, 1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed("arms", 0, "bundle", to="synthetic_shape"), r"study.yaml, arms.0.bundle: found synthetic_shape: "),
        (changed("arms", 0, "networks", 0, "spatial_dims", to=2), "the argument spatial_dims of vnet"),
        (changed("arms", 0, "networks", 0, "skip", to="sat"), "name skip connections under skips"),
        (changed("arms", 0, "networks", 0, "dropout", to=float("nan")), "dropout: nan"),
        (changed("arms", 0, "overrides", "patch", to="big"), "patch: 'big'; expected 3 numbers of voxels"),
        (changed("arms", 0, "overrides", "patch", to=[16, 16]), r"patch: \[16, 16\]; expected 3 numbers of voxels"),
        (changed("arms", 0, "overrides", "window", to=[-16, 16, 16]), "window: .*; expected 3 numbers of voxels"),
        (
            changed("arms", 0, "overrides", "learning_rate", to="fast"),
            "learning_rate 'fast'; expected a number above 0",
        ),
        (changed("arms", 0, "overrides", "batch", to=0), "batch 0; expected a whole number, 1 or more"),
        (changed("arms", 0, "overrides", "batch", to=date(2026, 1, 1)), "batch: datetime.date"),
        (changed("arms", 0, "skips", 1, to={"skip": ["sat", {"select": date(2026, 1, 1)}]}), "skip: .*datetime.date"),
        (changed("arms", 0, "overrides", "device", to="cuda"), "set it as a key of the study"),
    ],
)
def test_a_value_that_no_training_takes(write, content, words):
    with pytest.raises(InputError, match=words):
        expand_study(read_study(write(content)))


def test_a_dataset_of_a_bundle_that_the_study_does_not_have(study, tmp_path):
    with pytest.raises(InputError, match=r"--dataset_dir synthetic_shape=.*did you mean synthetic_shapes"):
        expand_study(study, {"synthetic_shape": tmp_path})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("norm", {1: 2}, r"networks\.0\.norm: found \{1: 2\}; expected a name such as instance, or \[name, "),
        ("norm", ["batch", {"affine": True}, 3], r"networks\.0\.norm: found \['batch', .*expected a name such as"),
        ("norm", "batsh", "a network that cannot be built with norm: 'batsh'"),
        ("norm", ["batch", {"width": 3}], r"cannot be built with norm: \['batch', \{'width': 3\}\]"),
        ("act", [], r"networks\.0\.act: found \[\]; expected a name"),
        ("channels", {}, r"networks\.0\.channels: found \{\}; expected a list, such as \[a, b\]"),
        ("channels", [2, -4], r"networks\.0\.channels\.1: found -4; expected greater than 0"),
        ("channels", [2, True], r"networks\.0\.channels\.1: found True; expected a valid integer"),
        ("channels", [2], r"networks\.0\.channels: found \[2\]; expected at least 2 items"),
        ("convs_per_level", [10**15, 1], r"networks\.0\.convs_per_level\.0: found 1000.*less than or equal to 1000"),
        (
            "decoder_convs_per_level",
            [1, 1],
            r"networks\.0\.decoder_convs_per_level: found \[1, 1\]; expected 1 entries",
        ),
        ("kernel_size", 2, r"networks\.0\.kernel_size: found 2; expected an odd number"),
        ("dropout", float("nan"), "dropout: nan; expected text, finite numbers"),
        ("dropout", "much", r"networks\.0\.dropout: found 'much'; expected a valid number"),
        ("dropout", 1.5, r"networks\.0\.dropout: found 1\.5; expected less than 1"),
        ("residual", 3, r"networks\.0\.residual: found 3; expected 'merged' or 'decoder'"),
        ("recalibrate", "cse2", "cannot be built with recalibrate: 'cse2'"),
        ("depth", 3, "unexpected keyword argument 'depth'"),
    ],
)
def test_an_argument_of_a_wrong_form_is_named_with_what_was_found_and_expected(write, key, value, words):
    content = changed("arms", 0, "networks", 0, key, to="later")
    content["arms"][0]["networks"][0][key] = value
    with pytest.raises(InputError, match=words):
        expand_study(read_study(write(content)))


def test_lists_of_the_bundle_that_no_longer_fit_are_named(write):
    content = changed("arms", 0, "networks", to=[{"name": "vnet", "channels": [2, 4]}])
    with pytest.raises(
        InputError, match=r"convs_per_level: found \[.*\], of the bundle; expected 2 entries.*add convs_"
    ):
        expand_study(read_study(write(content)))


@pytest.mark.parametrize(
    "skip", [[], [1], [None], [[]], ["sat", 3], [["sat", {}], None], ["sat", {"select": "hard"}, {}], [{"a": 1}], ""]
)
def test_a_skip_of_a_wrong_form_is_named(write, skip):
    with pytest.raises(InputError, match=r"skips\.2"):
        expand_study(read_study(write(changed("arms", 0, "skips", 2, to={"skip": skip}))))


def test_a_skip_that_refuses_its_options_is_named(write):
    content = changed("arms", 0, "skips", 2, to={"skip": ["sat", {"select": 3}]})
    with pytest.raises(
        InputError, match=r"vnet .* with sat select=3: .*cannot be built with skip: \['sat', \{'select': 3"
    ):
        expand_study(read_study(write(content)))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("network_def#channels", [4, 4], "found network_def#channels; .*set it by networks, skips"),
        ("network", 1, "found network; .*set it by networks, skips"),
        ("device#index", 1, "found device#index; .*set it as a key of the study"),
        ("spatial_dims", 2, "found spatial_dims; .*name another bundle"),
        ("patch#0", 8, r"found patch#0; expected patch as a whole.*write patch: \[32, 32, 32\]"),
        ("loss", 3, r"found loss: 3 \(--loss 3\); expected a mapping for loss"),
        ("optimizer", None, "found optimizer: None"),
        ("class_ratios", {"a": 1}, r"found class_ratios: \{'a': 1\}"),
        ("train#traner#max_epochs", 3, "found train#traner#max_epochs: 3"),
        ("longer", "stretch", "found longer; .*remove it"),
        ("frozen_epochs", 2, "found frozen_epochs: 2, and no weights to start from.*add start_from"),
        ("start_from", 3, "found start_from: 3; expected a file of weights, or a bundle"),
        ("start_from", "nowhere/model.pt", r"found start_from: nowhere/model.pt \(no such file\)"),
    ],
)
def test_overrides_that_a_training_refuses_are_named(write, key, value, words):
    content = changed("arms", 0, "overrides", to={key: value})
    with pytest.raises(InputError, match=words):
        expand_study(read_study(write(content)))
