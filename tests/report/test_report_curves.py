import numpy as np

from pipeline.report.report_content import Content, History
from pipeline.report.report_curves import make_charts, make_values


def history(**changed):
    columns = {
        "epoch": np.array([1.0, 2.0, 3.0]),
        "train_loss": np.array([1.0, 0.5, 0.25]),
        "val_mean_dice": np.array([np.nan, 0.5, 0.75]),
        "val_dice_head": np.array([np.nan, 0.25, 0.5]),
        "elapsed_seconds": np.array([60.0, 120.0, 180.0]),
    }
    return History("run", columns | changed)


def test_loss_and_dice_have_a_chart_each_and_name_their_values():
    loss, dice = make_charts(Content("training", "run", labels={"head": 7}), history())
    assert "at the end 0.25" in loss.text
    assert "best 0.750 at epoch 3" in dice.text
    assert [mark[2] for mark in loss.curves[0].marks][:2] == [
        "loss: 1 at epoch 1, 1 min",
        "loss: 0.5 at epoch 2, 2 min",
    ]
    assert [(curve.name, curve.style) for curve in dice.curves] == [("head", "s7"), ("mean", "")]
    # Up is 0 % of the height; the axis of the loss runs from 0.2 to 1.
    assert loss.curves[0].path.startswith("M0 0L")
    assert loss.curves[0].marks[-1][1] == 93.75


def test_epochs_without_validation_are_left_out():
    _, dice = make_charts(Content("training", "run"), history())
    assert len(dice.curves[-1].marks) == 2


def test_a_training_without_validation_has_one_chart():
    nothing = np.full(3, np.nan)
    charts = make_charts(Content("training", "run"), history(val_mean_dice=nothing, val_dice_head=nothing))
    assert [chart.title for chart in charts] == ["Training loss"]


def test_the_values_have_a_row_per_validation():
    table = make_values(history())
    assert table.heads == ["epoch", "minutes", "training loss", "mean Dice", "head"]
    assert [[row.name, *row.cells] for row in table.rows] == [
        ["2", "2.0", "0.5", "0.500", "0.250"],
        ["3", "3.0", "0.25", "0.750", "0.500"],
    ]
    nothing = np.full(3, np.nan)
    assert len(make_values(history(val_mean_dice=nothing)).rows) == 3
