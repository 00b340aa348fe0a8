from dataclasses import replace

from pipeline.report import report_tables
from pipeline.report.report_content import Content, Lesion, Metric, Score
from pipeline.report.report_tables import list_lost, make_arms, make_means, make_pairs, make_ranking

DICE = Metric("dice", "Dice")


def score(case, outcome, dice=0.5, *, name="a", sizes=(None, None)):
    return Score(name, case, "head", outcome, {"dice": dice}, sizes, "ml")


def content(scores, **summary):
    names = list(dict.fromkeys(one.set for one in scores)) or ["a"]
    return Content("comparison", "x", labels={"head": 1}, sets=names, metrics=[DICE], scores=scores, summary=summary)


def test_means_have_deviation_and_median_or_the_summary_s_interval():
    scores = [score("x", "found", 0.5), score("y", "found", 1.0)]
    [table] = make_means(content(scores))
    # The deviation of 0.5 and 1 with n - 1 is 0.35355.
    assert table.rows[0].cells == ["0.750 ± 0.354, median 0.750", "-"]
    known = {"a": {"head": {"dice": {"mean": 0.7, "interval": [0.6, 0.8]}}}}
    [table] = make_means(content(scores, statistics=known))
    assert table.rows[0].cells[0] == "0.700 [0.600, 0.800]"


def test_the_mean_of_labels_has_no_deviation_of_labels():
    scores = [score("x", "found", 0.5), replace(score("x", "found", 1.0), label="tail")]
    known = {"a": {"mean of labels": {"dice": {"mean": 0.75, "std": 0.35, "interval": None}}}}
    [table] = make_means(content(scores, statistics=known))
    assert [row.cells[0] for row in table.rows][-1] == "0.750"
    assert (table.heads[0], table.rows[-1].name) == ("label", "mean of labels")
    pairs = [{"first": "a", "second": "b", "metric": "dice", "label": "mean of labels"}]
    of_regions = content(scores, statistics=known, regions={"head": ["x", "y"]}, paired=pairs)
    [table] = make_means(of_regions)
    assert (table.heads[0], table.rows[-1].name) == ("region", "mean of regions")
    assert make_pairs(of_regions)[0].pairs[0].label == "mean of regions"


def test_missed_and_invented_structures_are_counted_and_listed_largest_first():
    scores = [
        score("x", "missed", 0.0, sizes=(1.0, 0.0)),
        score("y", "missed", 0.0, sizes=(20.0, 0.0)),
        score("z", "false_positive", 0.0, sizes=(0.0, 3.0)),
    ]
    found = content(scores)
    assert make_means(found)[0].rows[0].cells[-1] == "2 missed, 1 invented"
    anchors = {"x": "case-1", "y": "case-2", "z": "case-3"}
    missed, invented = list_lost(found, anchors)
    assert (missed.title, missed.number, invented.title, invented.anchor) == ("Missed", 2, "Invented", "invented")
    items = [(one.case, one.anchor, one.size) for one in missed.items]
    assert items == [("y", "case-2", "20 ml"), ("x", "case-1", "1 ml")]
    assert [one.size for one in invented.items] == ["3 ml"]


def test_lesions_are_listed_too_and_long_lists_end(monkeypatch):
    monkeypatch.setattr(report_tables, "MAX_LOST", 2)
    lesions = [Lesion("a", "x", "head", "missed", size, "ml") for size in (1.0, 3.0, 2.0)]
    lesions.append(Lesion("a", "y", "head", "invented", None, "ml"))
    found = replace(content([]), lesions=lesions)
    missed, invented = list_lost(found, {"x": "case-1"})
    assert (missed.title, missed.number, [one.size for one in missed.items]) == ("Missed lesions", 3, ["3 ml", "2 ml"])
    assert [(one.anchor, one.size) for one in invented.items] == [("", "")]


def test_without_a_reference_nothing_is_missed():
    scores = [Score("a", "x", "head", "", {"dice": 0.5}), Score("a", "y", "head", "absent", {})]
    assert "missed, invented" not in make_means(content(scores))[0].heads


def test_pairs_share_an_axis_with_zero_and_say_whether_a_difference_is_shown():
    def pair(label, difference, interval, p=None, p_holm=None):
        sets = {"first": "a", "second": "b", "metric": "dice", "label": label, "pairs": 9}
        return sets | {"difference": difference, "interval": interval, "p": p, "p_holm": p_holm}

    pairs = [
        pair("head", -0.2, [-0.3, -0.1], 0.0001),
        pair("tail", 0.05, [-0.1, 0.1]),
        pair("rare", None, None),
        pair("few", -0.1, [-0.2, -0.01], 0.04, 0.08),
        pair("other", -0.1, [-0.2, -0.01]),
    ]
    [group] = make_pairs(content([], paired=pairs))
    assert group.title == "Dice: b against a"
    assert group.zero == group.axis.place(0.0)
    assert [one.shown for one in group.pairs] == [True, False, False, False, True]
    assert group.pairs[0].cells == ["9", "-0.200 [-0.300, -0.100]", "-", "< 0.001", "-", "-"]
    assert group.pairs[0].place < group.zero
    assert (group.pairs[2].place, group.pairs[2].interval) == (None, None)


def test_pairs_of_several_seeds_have_the_p_of_the_trainings():
    known = {"first": "a", "second": "b", "metric": "dice", "label": "head", "pairs": 9, "difference": 0.1, "p": 0.4}
    [group] = make_pairs(content([], paired=[known | {"p_seeds": 0.4}, known]))
    assert group.heads == ["pairs", "difference", "effect size", "p", "p, t-test of seeds", "p, Holm", "detectable"]
    assert [one.cells[3:6] for one in group.pairs] == [["0.400", "0.400", "-"], ["0.400", "-", "-"]]
    [alone] = make_pairs(content([], paired=[known]))
    assert "p, t-test of seeds" not in alone.heads
    assert len(alone.heads) == len(alone.pairs[0].cells)


def test_arms_of_several_seeds_have_means_and_ranks():
    sets = [{"name": name, "arm": name.partition(":")[0]} for name in ("sat:0", "sat:1", "none:0", "none:1", "x")]
    arms = {"sat": {"sets": ["sat:0", "sat:1"], "mean of labels": {"dice": {"mean": 0.5, "interval": [0.4, 0.6]}}}}
    ranking = {"dice": [{"set": name, "rank": n, "mean": 0.5, "first": 0} for n, name in enumerate(("none", "sat"), 1)]}
    found = replace(content([], sets=sets, arms=arms, ranking=ranking), sets=[one["name"] for one in sets])
    assert [[row.name, *row.cells] for row in make_arms(found).rows] == [["sat", "2", "0.500 [0.400, 0.600]"]]
    assert make_ranking(found).heads == ["metric", "sat", "none", "x"]
    assert make_ranking(found).rows[0].cells == ["2: 0.500 (0 %)", "1: 0.500 (0 %)", "-"]
    assert make_arms(content([])) is None


def test_a_ranking_says_how_often_a_set_is_first():
    entries = [
        {"set": "b", "rank": 2, "mean": 0.5, "first": 0.126},
        {"set": "a", "rank": 1, "mean": 0.75, "first": 0.874},
    ]
    found = replace(content([], ranking={"dice": entries}), sets=["a", "b", "c"])
    table = make_ranking(found)
    assert table.heads == ["metric", "a", "b", "c"]
    assert [[row.name, *row.cells] for row in table.rows] == [["Dice", "1: 0.750 (87 %)", "2: 0.500 (13 %)", "-"]]
    assert make_ranking(content([], ranking=None)) is None


def test_rows_of_regions_have_the_colours_of_their_labels():
    scores = [replace(score("x", "found"), label=name) for name in ("whole", "core", "tail")]
    regions = {"whole": [1, 2], "core": [1], "tail": [2]}
    found = replace(content(scores), labels={"head": 1, "tail": 2}, regions=regions)
    assert [(row.name, row.swatch) for row in make_means(found)[0].rows] == [
        ("whole", "r0"),
        ("core", "s1"),
        ("tail", "s2"),
    ]
