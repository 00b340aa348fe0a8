"""Every table that a person may have made or damaged is refused in one message, whatever reads it."""

import pytest

from pipeline.comparison.choose_cases import read_subjects
from pipeline.data.errors import InputError
from pipeline.data.layouts.table import read_table
from pipeline.report.history import read_history
from pipeline.training.history_rows import read_rows

READERS = {
    "subjects": (lambda file: read_subjects(str(file), ["a"]), "case,subject"),
    "dataset": (read_table, "image,label"),
    "history": (read_history, "epoch,train_loss,val_mean_dice,elapsed_seconds"),
    "resume": (lambda file: read_rows(file, before_epoch=9), "epoch,train_loss"),
}
DAMAGED = {
    "UTF-16": (lambda head: f"{head}\n1,2\n".encode("utf-16"), "a file that is not (text in )?UTF-8"),
    "NUL": (lambda head: f"{head}\n1,\x002\n".encode(), r"a damaged table \(a NUL in line 2\)"),
    "large cell": (lambda head: f"{head}\n1,{'x' * 200_000}\n".encode(), "a damaged table .*field limit"),
    "open quote": (lambda head: f'{head}\n1,"2\n3,4\n'.encode(), "a damaged table .*unexpected end"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_table_is_one_message(reader, damage, tmp_path):
    (read, head), (write, found) = READERS[reader], DAMAGED[damage]
    file = tmp_path / "a.csv"
    file.write_bytes(write(head))
    with pytest.raises(InputError, match=rf"a\.csv: found {found}"):
        read(file)


def test_a_column_twice_and_a_case_of_two_subjects_are_named(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("case,subject,subject\na,1,2\n")
    with pytest.raises(InputError, match=r"a damaged table \(the column 'subject' twice\)"):
        read_subjects(str(file), ["a"])
    file.write_text("case,subject\na,1\na,2\n")
    with pytest.raises(InputError, match="the case a twice, with the subjects 1 and 2"):
        read_subjects(str(file), ["a"])
    file.write_text("case,subject\na,1\na,1\n")
    assert read_subjects(str(file), ["a"]) == {"a": "1"}


def test_a_history_without_epochs_is_not_resumed(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,loss\nx,1\n")
    with pytest.raises(InputError, match=r"history\.csv: found a line without the number of its epoch"):
        read_rows(tmp_path / "history.csv", before_epoch=3)
