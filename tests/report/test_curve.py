import pytest
from matplotlib.image import imread

from pipeline.data.errors import InputError
from pipeline.labelmaps.palette import hex_colour
from pipeline.report.curve import draw_curve

HEADER = "epoch,train_loss,val_mean_dice,val_dice_tube,learning_rate,seconds,elapsed_seconds\n"


def write_history(path, *lines, header=HEADER):
    path.write_text(header + "".join(f"{line}\n" for line in lines))
    return path


def test_curve_is_a_png_and_marks_the_best_epoch(tmp_path, figures):
    history = write_history(
        tmp_path / "history.csv",
        "1,1.5,,,0.001,60,60",
        "2,0.9,0.61,0.61,0.001,60,120",
        "3,0.7,0.83,0.83,0.001,60,180",
        "4,0.6,0.79,0.79,0.001,60,240",
    )
    output = draw_curve(history, tmp_path / "curve.png")
    assert imread(output).shape[:2] == (660, 880)
    upper, lower = figures[0].axes
    assert upper.get_title() == "history.csv: 4 epochs in 4 min; best mean Dice 0.830 at epoch 3"
    assert upper.get_yscale() == "log"
    drawn = {line.get_label(): line.get_xydata().tolist() for line in lower.lines}
    assert drawn["tube"] == drawn["mean"] == [[2.0, 0.61], [3.0, 0.83], [4.0, 0.79]]
    assert drawn["best: epoch 3"] == [[3.0, 0.83]]
    assert next(line for line in lower.lines if line.get_label() == "tube").get_color() == hex_colour(1)


def test_curve_with_a_negative_loss_is_linear_and_without_validation_has_no_best(tmp_path, figures):
    draw_curve(write_history(tmp_path / "history.csv", "1,-0.5,,,0.001,30,30"), tmp_path / "curve.png")
    upper, _ = figures[0].axes
    assert upper.get_yscale() == "linear"
    assert upper.get_title() == "history.csv: 1 epochs in 0.5 min"


@pytest.mark.parametrize(
    ("header", "lines", "message"),
    [
        ("epoch,train_loss,elapsed_seconds\n", ["1,0.5,60"], "no column val_mean_dice"),
        (HEADER, [], "no epoch"),
        (HEADER, ["1,much,,,0.001,60,60"], "much"),
        (HEADER, ["1,0.5,,,0.001,60,60", "2,0.4"], "line 3, column elapsed_seconds"),
        ("", [], "no column epoch"),
    ],
)
def test_unusable_histories_are_refused(tmp_path, header, lines, message):
    history = write_history(tmp_path / "history.csv", *lines, header=header)
    with pytest.raises(InputError, match=message) as refusal:
        draw_curve(history, tmp_path / "curve.png")
    assert str(history) in str(refusal.value)
    assert not (tmp_path / "curve.png").exists()


def test_a_missing_history_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        draw_curve(tmp_path / "history.csv", tmp_path / "curve.png")
