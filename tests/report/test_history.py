import numpy as np
import pytest

from pipeline.data.errors import InputError
from pipeline.report.history import find_best, read_history


def test_the_best_validation_is_one_of_those_with_the_most_cases():
    columns = {"val_mean_dice": np.array([0.5, 0.9, np.nan, 0.7]), "val_cases": np.array([2.0, 2.0, np.nan, 12.0])}
    assert find_best(columns) == 3
    assert find_best({"val_mean_dice": columns["val_mean_dice"]}) == 1


def test_an_empty_entry_is_no_number_and_other_columns_are_left_out(tmp_path):
    file = tmp_path / "history.csv"
    file.write_text(
        "epoch,train_loss,val_mean_dice,val_dice_a b,elapsed_seconds,seconds\n1,0.5,,,2,2\n2,0.25,0.5,0.5,4,2\n"
    )
    columns = read_history(file)
    assert list(columns) == ["epoch", "train_loss", "val_mean_dice", "val_dice_a b", "elapsed_seconds"]
    np.testing.assert_array_equal(columns["val_mean_dice"], [np.nan, 0.5])


def test_a_word_where_a_number_belongs_is_named_with_its_line(tmp_path):
    file = tmp_path / "history.csv"
    file.write_text("epoch,train_loss,val_mean_dice,elapsed_seconds\n1,good,,2\n")
    with pytest.raises(InputError, match="line 2, column train_loss: found 'good'"):
        read_history(file)
