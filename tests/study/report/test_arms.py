from pipeline.study.report.arms import describe_budget, describe_run, sort_runs
from pipeline.study.report.differences import note_differences

from .make_runs import make_diverged, make_lost, make_run, make_study


def test_arms_are_in_the_order_of_the_study_file_and_keep_every_run():
    study = make_study(["none", "sat", "concat"], networks=["unet", "vnet"])
    runs = [
        make_run(skip, seed, network=network)
        for network in ("vnet", "unet")
        for skip in ("sat", "concat")
        for seed in (2, 0)
    ]
    groups = sort_runs(study, [*runs, make_diverged("sat", 1)], [make_lost("none", 0)], [make_lost("none", 1)])
    assert [group.title for group in groups] == ["hippocampus_mri, unet", "hippocampus_mri, vnet"]
    assert list(groups[0].arms) == ["sat", "concat"]
    assert list(groups[1].arms) == ["none", "sat", "concat"]
    none, sat, _ = groups[1].arms.values()
    assert (len(none.failed), len(none.missing), none.planned, none.seeds) == (1, 1, 2, [])
    assert (len(sat.diverged), sat.planned, sat.seeds) == (1, 3, [0, 2])


def test_runs_of_other_budgets_or_overrides_are_other_groups():
    longer = make_run("concat", 0, epochs=12)
    changed = make_run("concat", 0)
    changed["settings"]["overrides"] = {"learning_rate": 0.005}
    groups = sort_runs(make_study(["concat"]), [make_run("concat", 0), longer, changed], [], [])
    assert [group.title.removeprefix("hippocampus_mri, vnet, ") for group in groups] == [
        "6 epochs, no overrides",
        "12 epochs, no overrides",
        "6 epochs, learning_rate 0.005",
    ]


def test_what_should_not_differ_is_noted():
    runs = [make_run("concat", seed) for seed in range(3)]
    runs[1]["settings"]["network_spec"]["norm"] = "batch"
    runs[1]["settings"]["plan_sha256"] = "cd" * 8
    runs[2]["machine"]["cpu"] = "Apple M5"
    [group] = sort_runs(make_study(["concat"]), [*runs, make_run("concat", 0)], [], [])
    assert note_differences(group) == [
        "The runs have different plans: abababababababab, cdcdcdcdcdcdcdcd.",
        "The runs of concat differ in network_spec: they are not trainings of one setting.",
        "concat has several runs of seed 0: only the last of each counts.",
        "Seconds are of different processors: AMD EPYC, Apple M5.",
    ]


def test_variants_of_a_network_are_in_the_order_of_the_study_file():
    study = make_study(["concat", "sat"], networks=["unet", {"name": "unet", "label": "unet", "variant": "scSE"}])
    labels = ("sat, scSE", "concat, scSE", "sat", "concat")
    [group] = sort_runs(study, [make_run(skip, network="unet", parts=()) for skip in labels], [], [])
    assert list(group.arms) == list(labels)[::-1]


def test_budgets_and_runs_in_words():
    assert [describe_budget(one) for one in ({"minutes": 8.0}, {"epochs": 6, "minutes": None}, None)] == [
        "8 minutes",
        "6 epochs",
        "no budget",
    ]
    assert describe_run(make_lost("sat", 2)) == "hippocampus_mri, vnet, sat, seed 2, fold 0"
    assert describe_run({"id": "x"}) == "x"
