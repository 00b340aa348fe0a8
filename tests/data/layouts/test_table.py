import pytest

from pipeline.data.errors import InputError
from pipeline.data.layouts.table import find_table


def write(folder, text, *, name="list.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_columns_are_read_whatever_separates_them(tmp_path, separator, end, encoding):
    lines = [
        "Image, Label ,subject,fold,part,Site",
        "i/a.nii,l/a.nii,Zoë,1,training,north",
        "",
        "b.nii,,Bo,,test,south",
    ]
    text = end.join(line.replace(",", separator) for line in lines) + end
    found = find_table(write(tmp_path, text, encoding=encoding))
    (case,), (scan,) = found.training, found.test
    assert (case.images, case.label) == ((tmp_path / "i/a.nii",), tmp_path / "l/a.nii")
    assert (case.subject, case.fold, case.columns, case.place) == ("Zoë", 1, {"site": "north"}, "line 2")
    assert (scan.images, scan.label, scan.subject, scan.place) == ((tmp_path / "b.nii",), None, "Bo", "line 4")
    assert (found.folder, found.described) == (tmp_path, {"name": "list"})


def test_channels_are_in_the_order_of_their_numbers(tmp_path):
    text = "image_1,label,image_0,group\nb,l,a,family\n"
    (case,) = find_table(write(tmp_path, text)).training
    assert ([path.name for path in case.images], case.subject, case.columns) == (["a", "b"], "family", {})


def test_paths_start_at_the_dataset_folder_and_quoted_cells_may_hold_commas(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").touch()
    file = write(tmp_path, 'image,label\n"a, b.nii",sub\\l.nii\n/abs/c.nii,l2.nii\n')
    cases = find_table(file, dataset_dir=tmp_path / "data").training
    assert [case.images[0].as_posix() for case in cases] == [(tmp_path / "data" / "a, b.nii").as_posix(), "/abs/c.nii"]
    assert cases[0].label == tmp_path / "data" / "sub" / "l.nii"


def test_rows_without_label_follow_unlabelled_unless_they_are_said_to_be_test(tmp_path):
    file = write(tmp_path, "image,label,part\na,l,\nb,,\nc,,test\nd,m,testing\n")
    with pytest.raises(InputError, match=r"1 of 2 cases without a label map: b \(line 3\)"):
        find_table(file)
    found = find_table(file, unlabelled="test")
    assert [case.images[0].name for case in found.training] == ["a"]
    assert [(scan.images[0].name, scan.label and scan.label.name) for scan in found.test] == [
        ("c", None),
        ("d", "m"),
        ("b", None),
    ]


def test_folds_can_be_left_alone(tmp_path):
    file = write(tmp_path, "image,label,fold\na,l,x\n")
    assert find_table(file, keep_folds=False).training[0].fold is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,label,fold\na,l,0\n\nb,m,x\n", 'the fold "x" in line 4'),
        ("image,label,fold\na,l,-1\n", 'the fold "-1" in line 2'),
        ("image,label,part\na,l,val\n", 'the part "val" in line 2'),
        ("image,label,part\na,,training\n", "a training case without a label map in line 2"),
        ("image,label\na,l\n,m\n", "an empty image in line 3"),
        ("image_0,image_1,label\na,,l\n", "an empty image_1 in line 2"),
        ('image,label\n"a\nb",l\nc\n', "1 cells in line 4; expected 2"),
        ("image,label\na,l,x\n", "3 cells in line 2; expected 2"),
        ("image_0,image_2,label\na,b,l\n", "the columns image_0, image_2, label in line 1"),
        ("image,image_0,label\na,b,l\n", "the columns image, image_0"),
        ("scan,label\na,l\n", "the columns scan, label in line 1"),
        ("image,label,label\na,l,l\n", 'the column "label" twice'),
        ("image,label,\na,l,x\n", "a column without a name"),
        ("image,label,subject,group\na,l,s,g\n", "both columns subject and group"),
        ("image,label\n", "found no row"),
        ("", "found an empty table"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        find_table(write(tmp_path, text))


def test_files_that_are_no_table_are_explained(tmp_path):
    with pytest.raises(InputError, match="a file that is not UTF-8"):
        find_table(write(tmp_path, "image,label\nZoë,l\n", encoding="latin-1"))
    with pytest.raises(InputError, match="no readable file"):
        find_table(tmp_path / "nowhere.csv")
