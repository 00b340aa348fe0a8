import pytest

from pipeline.bundle.unpack.names import find_name_faults


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("../evil", "a way out"),
        ("a/../../evil", "a way out"),
        ("a/..", "a way out"),
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
        ("a\0.txt", "a character that is not shown"),
        ("a\x1b[2J", "a character that is not shown"),
        ("a\nb", "a character that is not shown"),
        ("a\u202egpj.exe", "a character that is not shown"),
        ("a/b ", "a dot or blank"),
        ("a./b", "a dot or blank"),
        ("configs/NUL", "a device of Windows"),
        ("com1.json", "a device of Windows"),
        ("conin$", "a device of Windows"),
        ("LPT\u00b9.txt", "a device of Windows"),
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
        (["a/x", "a/x"], 1, "there twice"),
        (["a/X", "a/x"], 1, "differs from a/X by case only"),
        (["Configs/x", "configs/y"], 1, "differs from Configs by case only"),
        (["caf\u00e9", "cafe\u0301"], 1, "differs from"),
        (["stra\u00dfe", "STRASSE"], 1, "differs from"),
        (["a", "a/b"], 1, "a file and a folder in one place: a"),
        (["a/b", "a"], 1, "a file and a folder in one place: a"),
        (["a/", "a/"], 1, "there twice"),
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
