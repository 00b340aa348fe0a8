import pytest

from pipeline.data.zip_names import find_name_faults


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("../evil", "a path out"),
        ("a/../../evil", "a path out"),
        ("a/..", "a path out"),
        ("/etc/passwd", "an absolute path"),
        ("//server/share", "an absolute path"),
        ("C:/evil", "a colon"),
        ("C:evil", "a colon"),
        ("notes.txt:hidden", "a colon"),
        ("a\\b", "a backslash"),
        ("..\\evil", "a backslash"),
        ("a//b", "an empty part"),
        ("./a", "an empty part"),
        ("", "an empty part"),
        ("a\0.txt", "an invisible character"),
        ("a\x1b[2J", "an invisible character"),
        ("a\nb", "an invisible character"),
        ("a\u202egpj.exe", "an invisible character"),
        ("a/b ", "a dot or blank"),
        ("a./b", "a dot or blank"),
        ("configs/NUL", "a Windows device"),
        ("com1.json", "a Windows device"),
        ("conin$", "a Windows device"),
        ("LPT\u00b9.txt", "a Windows device"),
        *((f"a{letter}b", "Windows does not allow") for letter in '<>|?*"'),
        (".git/config", "a folder of version control"),
        ("docs/.GIT/config", "a folder of version control"),
        (".hg/hgrc", "a folder of version control"),
        ("ä" * 128, "more than 255 bytes"),
    ],
)
def test_a_name_that_leaves_the_folder_or_means_another_file_elsewhere(name: str, fault: str) -> None:
    ((found, why),) = find_name_faults(["ok.txt", name])
    assert found == name
    assert fault in why


@pytest.mark.parametrize(
    ("names", "at", "fault"),
    [
        (["a/x", "a/x"], 1, "occurs twice"),
        (["a/X", "a/x"], 1, "differs from a/X only by case"),
        (["Configs/x", "configs/y"], 1, "differs from Configs only by case"),
        (["caf\u00e9", "cafe\u0301"], 1, "differs from"),
        (["stra\u00dfe", "STRASSE"], 1, "differs from"),
        (["a", "a/b"], 1, "a file and a folder with the same path: a"),
        (["a/b", "a"], 1, "a file and a folder with the same path: a"),
        (["a/", "a/"], 1, "occurs twice"),
    ],
)
def test_two_names_of_one_file(names: list[str], at: int, fault: str) -> None:
    ((found, why),) = find_name_faults(names)
    assert found == names[at]
    assert fault in why


def test_names_as_bundles_have_them() -> None:
    names = [
        "s/",
        "s/configs/",
        "s/configs/train.json",
        "s/configs/train2.json",
        "s/docs/a b.md",
        "s/.gitignore",
        "s/.github/a.yml",
        "s/ü",
    ]
    assert find_name_faults(names) == []
