import pytest

from pipeline.report.check_table import format_check


def block(table, title):
    """The lines between the line that begins so and the next empty one."""
    lines = table.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(title))
    return lines[start : lines.index("", start)]


def test_the_dataset_is_told_in_a_few_lines(reports):
    report = reports.report(6, test=1)
    for case, x, ml, code in zip(
        report["cases"], range(10, 60, 10), (1, 2, 4, 8, 16), ("RAS",) * 4 + ("LPS",), strict=False
    ):
        case |= {"shape": [x, 7, 7], "spacing": [0.5, 1.0, 2.5], "orientation": code}
        case["classes"] = {"liver": {"voxels": 1, "ml": ml}, "tumour": {"voxels": 0, "ml": 0.0}}
        case["intensity"] = [{"channel": 0, "min": -ml, "max": 1000 * ml, "mean": 1}]
    for key in ("shape", "spacing", "orientation", "intensity"):
        del report["cases"][5][key]
    assert block(format_check(report), "dataset") == [
        "dataset       liver, 3D (lists/liver.json)",
        "cases         5 training in 5 folds (1 + 1 + 1 + 1 + 1), 1 test",
        "channels      CT",
        "labels        0 background, 1 liver, 2 tumour",
        "orientation   RAS 4, LPS 1, not read 1",
        "spacing       0.5 x 1 x 2.5 mm, the same in all cases",
        "shape         median 30 x 7 x 7 voxels, from 10 x 7 x 7 to 50 x 7 x 7",
        "intensity     CT: median -4 to 4,000, over all cases -16 to 16,000",
        "label size    liver: median 4 ml, from 1 to 16, in 5 of 5 labelled cases",
        "label size    tumour: in no case",
    ]


def test_findings_stand_under_their_kind_with_problems_first(reports):
    report = reports.every_kind()
    lines = format_check(report).splitlines()
    heads = [line.partition(":")[0] for line in lines if line.isupper() or line.startswith(("PROB", "WARN", "NOTES"))]
    assert heads == ["PROBLEMS", "WARNINGS", "NOTES"]
    kinds = [line.partition("[")[2].partition("]")[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert sorted(kinds) == sorted(reports.kinds)
    severities = [reports.kinds[kind] for kind in kinds]
    assert severities == sorted(severities, key=("problem", "warning", "note").index)
    for kind in kinds:
        assert sum(f"to do: mend {kind}" == line.strip() for line in lines) == 1
        assert sum(f"expected: what {kind} is not" == line.strip() for line in lines) == 1
    for found in report["findings"]:
        if found["kind"] != "label-float":
            [line] = [line for line in lines if line.endswith(f": {found['found']}")]
            assert line.strip().startswith(found["file"] or "whole dataset")


@pytest.mark.parametrize(
    ("number", "shown", "more"), [(10, 10, None), (11, 10, "and 1 more"), (1500, 10, "and 1,490 more")]
)
def test_ten_findings_of_a_kind_are_shown(reports, number, shown, more):
    findings = [reports.finding("constant", f"liver_{n:04d}", n) for n in range(number)]
    lines = format_check(reports.report(2000, findings)).splitlines()
    assert sum("what constant is" in line and "number" in line for line in lines) == shown
    assert [line.strip() for line in lines if line.strip().startswith("and ")] == ([more] if more else [])
    assert f"  Constant image [constant]: {number:,}" in lines


def test_what_differs_within_a_kind_stands_with_its_finding(reports):
    findings = [reports.finding("nan", f"liver_{n:04d}", n, expected=f"e{n}", remedy=f"r{n}") for n in (1, 2)]
    lines = [line.strip() for line in format_check(reports.report(3, findings)).splitlines()]
    assert "imagesTr/liver_0001.nii.gz: what nan is, number 1; expected e1; to do: r1" in lines
    assert not any(line.startswith(("expected:", "to do:")) for line in lines)


def test_a_case_is_named_where_its_file_does_not_tell(reports):
    findings = [
        reports.finding("nan", "patient 7", file="imagesTr/scan.nii.gz"),
        reports.finding("leakage", "patient 8", file=None),
    ]
    table = format_check(reports.report(3, findings))
    assert "    patient 7 imagesTr/scan.nii.gz: what nan is" in table
    assert "    patient 8: what leakage is" in table


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ([], "Fit for training: no findings."),
        ([("label-float", 1)], "Fit for training: only 1 note, harmless."),
        (
            [("label-float", 1), ("label-empty", 1), ("label-empty", 2)],
            "Look before training: 2 warnings in 2 cases; 1 note.",
        ),
        ([("label-unused", None)], "Look before training: 1 warning in the dataset as a whole."),
        (
            [("nan", 1), ("constant", 1), ("label-empty", 2), ("label-float", 3)],
            "Do not train on it yet: 2 problems in 1 case; 1 warning, 1 note.",
        ),
        ([("a kind of tomorrow", None)], "Do not train on it yet: 1 problem in the dataset as a whole."),
    ],
)
def test_the_last_line_is_the_verdict(reports, findings, verdict):
    found = [reports.finding(kind, None if case is None else f"liver_{case:04d}") for kind, case in findings]
    assert format_check(reports.report(5, found)).splitlines()[-1] == verdict


def test_scans_to_predict_are_not_judged_for_training(reports):
    report = reports.report(5, [reports.finding("nan", "liver_0001")], test=5)
    assert format_check(report).splitlines()[-1] == "Do not use these cases yet: 1 problem in 1 case."
    report = reports.report(5, test=5)
    assert format_check(report).splitlines()[-1] == "Fit to be segmented or measured: no findings."
    assert "label size" not in format_check(report)


def test_an_empty_datalist_is_not_called_fit(reports):
    table = format_check(reports.report(0))
    assert table.splitlines()[-1] == "Nothing was checked: the datalist has no case."
    assert "cases         none" in table


def test_cases_that_were_not_checked_are_counted(reports):
    report = reports.report(5)
    report["summary"] |= {"training": 200, "checked": 5}
    assert "; 5 of 200 checked" in format_check(report)


def test_lines_are_at_most_120_characters_wide_and_names_are_whole(reports):
    name = "a" * 150
    long = " ".join(["words"] * 60)
    labels = {"background": 0} | {f"organ number {n}": n for n in range(1, 60)}
    findings = [
        reports.finding("truncated", "liver_0001", found=long, expected=long, remedy=long),
        reports.finding("nan", "liver_0002", file=f"imagesTr/{name}.nii.gz"),
    ]
    lines = format_check(reports.report(50, findings, labels=labels)).splitlines()
    assert [line.strip() for line in lines if len(line) > 120] == [f"imagesTr/{name}.nii.gz: what"[: len(name) + 17]]
    assert all(line == line.rstrip() for line in lines)


def test_2d_datasets_are_measured_in_square_millimetres(reports):
    table = format_check(reports.report(3, dims=2, channels=("EM",), labels={"background": 0, "cell": 255}))
    assert "mm²" in table
    assert " ml" not in table
    assert "shape         512 x 512 pixels, the same in all cases" in table
    assert "spacing       median 0.61 x 0.61 mm, from 0.6 x 0.6 to 0.62 x 0.62" in table


def test_names_of_files_cannot_steer_the_terminal(reports):
    evil = "a\x1b[2J\r\nb\u202ec\udcff"
    shown = "a\\x1b[2J b\\u202ec\\udcff"
    finding = reports.finding("truncated", evil, file=evil, found=evil, expected=evil, remedy=evil)
    report = reports.report(1, [finding], channels=(evil,), labels={"background": 0, evil: 1}) | {"name": evil}
    table = format_check(report)
    table.encode()
    assert all(character.isprintable() or character == "\n" for character in table)
    assert f"    {shown}: {shown}" in table
    assert "\nb" not in table
