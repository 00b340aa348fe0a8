"""What `lightskip train` and `lightskip evaluate` say and refuse before they start; tests/bundles runs them."""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.bundle.launch import Launch, prepare
from pipeline.bundle.render import write_rendered
from pipeline.bundle.words import parse_values
from pipeline.data.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[2]


def make_dataset(folder: Path) -> None:
    """Make a dataset of three empty cases, each in a fold of its own."""
    folder.mkdir()
    items = [{"image": f"i{fold}.nii", "label": f"l{fold}.nii", "fold": fold} for fold in range(3)]
    for item in items:
        for key in ("image", "label"):
            (folder / str(item[key])).touch()
    (folder / "dataset.json").write_text(json.dumps({"training": items}))


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A freshly rendered bundle, ``shapes``, in the working directory, with its dataset and a copy of it, ``data``."""
    source = REPOSITORY / "bundles" / "synthetic_shapes"
    (tmp_path / "shapes").mkdir()
    shutil.copy(source / "plan.yaml", tmp_path / "shapes")
    write_rendered(tmp_path / "shapes")
    make_dataset(tmp_path / "data")
    make_dataset(tmp_path / "shapes" / "data")
    monkeypatch.chdir(tmp_path)
    return Path("shapes")


def launched(words: str, verb: str = "train") -> Launch:
    return prepare(verb, Path("shapes"), shlex.split(words))


def refusal(words: str, verb: str = "train") -> str:
    with pytest.raises(InputError) as raised:
        launched(words, verb)
    return str(raised.value)


@pytest.mark.usefixtures("bundle")
def test_says_the_command_that_it_stands_for() -> None:
    launch = launched("--dataset_dir data --optimizer#lr=1e-3 --resume --skip \"['sat', {'maps': 2}]\" --dry-run")
    assert launch.dry_run
    assert launch.command == (
        "python -m monai.bundle run training --config_file shapes/configs/train.json --dataset_dir data "
        "--optimizer#lr 1e-3 --resume True --skip \"['sat', {'maps': 2}]\""
    )


@pytest.mark.parametrize("word", ["--processes 2", "--gpus 2", "--processes=2"])
@pytest.mark.usefixtures("bundle")
def test_several_processes_are_torchruns(word: str) -> None:
    launch = launched(f"--fold 1 {word} --epochs 2")
    assert (launch.processes, launch.dry_run) == (2, False)
    assert launch.command == (
        "python -m torch.distributed.run --standalone --nproc_per_node 2 -m monai.bundle run training --config_file "
        "\"['shapes/configs/train.json','shapes/configs/multi_gpu_train.json']\" --fold 1 --epochs 2"
    )


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--epochs 3 --processes 1",
        "--skip '$my_skip' --device cuda:0 --patch '[16,16,16]' --minutes 5",
        "--train#trainer#max_epochs 3 --train#handlers#4#interval 5 --optimizer#momentum 0.9",
        "--optimizer#_target_ torch.optim.AdamW --optimizer#betas '[0.9,0.99]'",
        "--_meta_#task other --logging_file False --init_id initialize",
        "--tracking none --run_name first",
    ],
)
@pytest.mark.usefixtures("bundle")
def test_settings_of_the_bundle_pass(words: str) -> None:
    assert launched(words).warning == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--skip sat4", {"skip": ["sat", {"maps": 4, "gate": "linear", "merge": "sum"}], "sparsity": 1e-4}),
        ("--skip sat_hard", {"skip": ["sat", {"select": "hard", "threshold": 0.05}], "sparsity": 1e-2}),
        (
            "--skip sat4 --sparsity 0.5",
            {"skip": ["sat", {"maps": 4, "gate": "linear", "merge": "sum"}], "sparsity": 0.5},
        ),
        ("--skip concat", {"skip": "concat"}),
        ("--skip my_skip", {"skip": "my_skip"}),
        # Longer than the name of a file may be.
        (f'--skip "{["sat4" * 40, "concat" * 40]}"', {"skip": ["sat4" * 40, "concat" * 40]}),
    ],
)
@pytest.mark.usefixtures("bundle")
def test_a_skip_can_be_a_file_of_the_recipes(words: str, expected: dict[str, object]) -> None:
    assert parse_values(launched(words).settings) == expected


@pytest.mark.usefixtures("bundle")
def test_a_loss_can_be_a_name() -> None:
    launch = launched("--loss cross_entropy --epochs 2")
    component = {"_target_": "DiceCELoss", "softmax": True, "to_onehot_y": True, "lambda_dice": 0.0}
    assert parse_values(launch.settings) == {"loss#loss": component, "epochs": 2}
    # MONAI's own command says what the name stands for.
    assert f'--loss#loss "{component}" --epochs 2' in launch.command
    assert "--loss dise: found no loss of this name" in refusal("--loss dise")
    # An evaluation needs no loss.
    assert "loss" not in launch.outcome()


@pytest.mark.parametrize(
    ("words", "named", "told"),
    [
        ("--epoch 3", "unknown override: --epoch;", "nearest are epochs"),
        ("--fold 1 --lerning-rate 1", "unknown override: --lerning_rate;", "nearest are learning_rate"),
        ("--optimizer#l 1e-3", "unknown override: --optimizer#l;", "optimizer#lr"),
        ("--train#trianer#max_epochs 3", "unknown override: --train#trianer#max_epochs;", "train#trainer#max_epochs"),
        ("--patch#7 3", "unknown override: --patch#7;", "nearest are patch"),
        ("--epoch 1 --fols 2", "unknown overrides: --epoch, --fols;", "fold"),
        ("--proceses 2", "unknown override: --proceses;", "processes"),
        ("--checkpoint m.pt", "unknown override: --checkpoint;", ""),
        ("--epochs many", "--epochs 'many'", "a number for epochs"),
        ("--epochs", "--epochs True", "a number for epochs"),
        ("--network_def#channels nonsense", "--network_def#channels 'nonsense'", "a list of numbers for network_def#"),
        ("--patch '[16,16'", "--patch '[16,16'", "a list of numbers for patch"),
        ("--train#deterministic_transforms#1#axcodes RAS", "--train#deterministic_transforms#1#axcodes;", ""),
        ("--fold al", "--fold 'al'", "a number or all for fold"),
        ("--longer restart", "longer restart of a new training", "add --resume"),
        ("--resume --longer slowly", "longer 'slowly'", "stretch or restart"),
        ("--resume false", "--resume 'false'", "True or False (with a capital letter)"),
        ("--skip None", "--skip None, which MONAI ignores", "use --skip none"),
        ("--config_file a.json", "--config_file", "sets this argument itself"),
        ("--args_file a.json --run_id other", "--run_id", "sets this argument itself"),
        ("epochs 3", "'epochs' without a key", "--KEY VALUE"),
        ("--processes 0", "found 0", "a whole number, 1 or more"),
        ("--processes two", "found two", "a whole number, 1 or more"),
        ("--dataset_dir nowhere", "nowhere: found no such folder", "set dataset_dir"),
        ("--dataset_dir shapes/plan.yaml", "plan.yaml: found a file", "set dataset_dir"),
        ("--dataset_dir shapes/configs", "configs/dataset.json: found no readable file", "give the path of a datalist"),
        ("--datalist none.json", "none.json: found no readable file", "give the path of a datalist"),
        ("--ckpt_dir ''", "--ckpt_dir: found an empty name", "the working directory is ."),
        ("--dataset_dir ''", "--dataset_dir: found an empty name", "check that the variable behind it is set"),
        ("--fold 3", "data/dataset.json: found no case with fold 3", "expected one of the existing folds: 0, 1, 2"),
        (
            "--fold 0.5",
            "train.json: found fold 0.5",
            "the number of the fold that validates, or all",
        ),
        ("--epochs 0", "shapes/configs/train.json: found epochs 0", "a whole number, 1 or more"),
        ("--epochs 2.5", "found epochs 2.5", "a whole number, 1 or more"),
        ("--minutes 1e9", "found minutes 1000000000.0", "at most 527040 (a year)"),
        ("--learning_rate 1e999", "found learning_rate inf", "a number above 0"),
        ("--clock sun", "found clock 'sun'", "wall or processor"),
        ("--ckpt_dir shapes/plan.yaml", "shapes/plan.yaml: found a file", "name another one: --ckpt_dir FOLDER"),
        ("--ckpt_dir shapes/plan.yaml/run", "found a file among its parent folders", "--ckpt_dir FOLDER"),
        ("--resume", "runs/fold_0/last.pt: found no checkpoint to resume from", "leave out --resume"),
        ("--resume --ckpt_dir run", "run/last.pt: found no checkpoint to resume from", "correct --ckpt_dir"),
    ],
)
@pytest.mark.usefixtures("bundle")
def test_refuses_what_the_bundle_does_not_know(words: str, named: str, told: str) -> None:
    message = refusal(words)
    assert named in message
    assert told in message


@pytest.mark.slow
@pytest.mark.usefixtures("bundle")
def test_mistakes_are_told_without_pytorch_and_monai() -> None:
    mistakes = {
        "train nowhere": "nowhere: found no such folder",
        "train shapes --epohcs 3": "shapes/configs/train.json: found unknown override: --epohcs; ",
        "train shapes --epochs abc": "shapes/configs/train.json: found --epochs 'abc'; expected a number",
        "train shapes --epochs 0": "shapes/configs/train.json: found epochs 0; expected a whole number, 1 or more",
        "train shapes --fold 7": "dataset.json: found no case with fold 7; expected one of the existing folds: 0, 1, 2",
        "train shapes --dataset_dir none": "none: found no such folder",
        "train shapes --resume": "last.pt: found no checkpoint to resume from",
        "evaluate nowhere": "nowhere: found no such folder",
        "evaluate shapes --epohcs 3": "found unknown override: --epohcs; ",
        "evaluate shapes --tolerance_mm abc": "found --tolerance_mm 'abc'; expected a number",
        "evaluate shapes --fold 7 --checkpoint shapes/plan.yaml": "dataset.json: found no case with fold 7",
        "evaluate shapes --dataset_dir none": "none: found no such folder",
        "evaluate shapes --checkpoint none.pt": "none.pt: found no such file; expected the weights",
        "evaluate shapes --training none": "--training none: found no training with this name or path",
        "evaluate shapes": "shapes/models/model.pt: found no such file, and no training",
    }
    code = (
        "import json, sys\n"
        "sys.modules.update(torch=None, monai=None)\n"
        "from pipeline.cli import main\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    print(main(words.split()), file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, json.dumps(list(mistakes))],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])},
    )
    assert (ended.returncode, ended.stdout) == (0, "")
    lines = ended.stderr.splitlines()
    assert lines[1::2] == ["2"] * len(mistakes)
    for line, said in zip(lines[::2], mistakes.values(), strict=True):
        assert line.startswith("error: ")
        assert said in line


@pytest.mark.usefixtures("bundle")
def test_a_dry_run_needs_neither_the_dataset_nor_the_weights() -> None:
    shutil.rmtree("shapes/data")
    assert "data: found no such folder" in refusal("")
    assert launched("--dry-run --resume").dry_run
    assert launched("--dry-run --checkpoint none.pt", "evaluate").dry_run
    assert "found epochs 0" in refusal("--dry-run --epochs 0")


@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_what_is_no_bundle_is_an_error(bundle: Path, verb: str) -> None:
    def told(folder: Path) -> str:
        with pytest.raises(InputError) as raised:
            prepare(verb, folder, [])
        return str(raised.value)

    assert "found no such folder" in told(Path("nowhere"))
    assert "found a file" in told(bundle / "plan.yaml")
    assert "found no configs/train.json in it" in told(Path("data"))
    shutil.rmtree(bundle / "configs")
    assert "found plan.yaml, but no configs/train.json" in told(bundle)
    assert "lightskip render shapes" in told(bundle)


def test_a_config_of_another_make_or_broken_is_an_error(bundle: Path) -> None:
    file = bundle / "configs" / "train.json"
    config = json.loads(file.read_text())
    del config["ckpt_dir"]
    file.write_text(json.dumps(config))
    assert "found no key ckpt_dir" in refusal("")
    config["ckpt_dir"], config["initialize"][0] = "runs", "$@"
    file.write_text(json.dumps(config))
    assert "found an @ without a name in initialize::0" in refusal("")
    del config["initialize"][0]
    file.write_text(json.dumps(config))
    assert "the command line: found an @ without a name in fold" in refusal("--fold $@")
    file.write_text("{")
    assert "cannot be read as a config" in refusal("")
    file.write_text("[]")
    assert "not a mapping" in refusal("")


def test_configs_that_are_not_what_the_plan_gives_are_told(bundle: Path) -> None:
    plan = bundle / "plan.yaml"
    plan.write_text(re.sub(r"(?m)^  epochs: .*", "  epochs: 61", plan.read_text()))
    assert launched("--fold 1").warning == (
        "configs/train.json differ from shapes/plan.yaml; to write them again: lightskip render shapes"
    )
    plan.write_text("epochs: 60")
    assert "cannot be compared with the plan" in launched("--fold 1").warning
    plan.unlink()
    assert launched("--fold 1").warning == ""


def test_evaluates_the_training_of_the_fold_or_else_the_bundles_own(bundle: Path) -> None:
    own, trained = bundle / "models" / "model.pt", bundle / "runs" / "fold_1" / "model.pt"
    message = refusal("--fold 1", "evaluate")
    assert message.startswith("shapes/models/model.pt: found no such file, and no training; ")
    assert "train first (lightskip train shapes --fold 1)" in message
    for file in (own, trained):
        file.parent.mkdir(parents=True)
    own.touch()
    launch = launched("--fold 1", "evaluate")
    assert launch.note == "weights: shapes/models/model.pt, the bundle's own\n"
    assert launch.command == (
        "python -m monai.bundle run evaluating --config_file "
        "\"['shapes/configs/train.json','shapes/configs/evaluate.json']\" --fold 1 --runtime auto"
    )
    trained.touch()
    launch = launched("--fold 1", "evaluate")
    assert launch.command.endswith(" --fold 1 --runtime auto --checkpoint shapes/runs/fold_1/model.pt")
    assert launch.note.startswith("weights: shapes/runs/fold_1/model.pt, of the only fold-1 training fold_1 (fold 1, ")
    # Fold 0 has no training of its own.
    assert "the bundle's own" in launched("", "evaluate").note
    own.with_name("other.pt").touch()
    assert launched("--checkpoint shapes/models/other.pt", "evaluate").note == ""


def trained(bundle: Path, name: str, **facts: object) -> Path:
    """A training in the bundle, as its files show it."""
    folder = bundle / "runs" / name
    folder.mkdir(parents=True)
    (folder / "model.pt").touch()
    if facts:
        (folder / "training.json").write_text(json.dumps(facts))
    return folder


def test_of_several_trainings_it_names_all_and_asks(bundle: Path) -> None:
    trained(bundle, "fold_0", fold=0, skip="sat", epochs=40, planned=40, best_dice=0.71, finished=True)
    trained(bundle, "long", fold=0, skip="concat", epochs=300, planned=400, best_dice=0.8125, finished=False)
    trained(bundle, "fold_1", fold=1)
    message = refusal("", "evaluate")
    assert "found 2 trainings of fold 0: fold_0 (fold 0, best Dice 0.7100, 40 of 40 epochs, skip sat, " in message
    assert "; long (fold 0, best Dice 0.8125, 300 of 400 epochs, not finished, skip concat, " in message
    assert "--training fold_0" in message
    # Fold 1 has one.
    assert launched("--fold 1", "evaluate").settings["checkpoint"] == "shapes/runs/fold_1/model.pt"
    # Of a fold without one, nothing is taken that was trained on its cases.
    assert "found no such file; trainings: fold_0 (" in refusal("--fold 2", "evaluate")


def test_a_training_by_its_name_or_path_is_measured_on_its_own_fold(bundle: Path) -> None:
    for name, fold in (("fold_0", 0), ("long", 2)):
        trained(bundle, name, fold=fold)
    for named in ("long", "shapes/runs/long", "shapes/runs/long/model.pt"):
        launch = launched(f"--training {named}", "evaluate")
        assert launch.settings == {"fold": "2", "checkpoint": "shapes/runs/long/model.pt", "runtime": "auto"}
        assert launch.note.startswith("weights: shapes/runs/long/model.pt, of training long (fold 2, ")
        assert " --fold 2 --checkpoint shapes/runs/long/model.pt" in launch.command.replace(" --runtime auto", "")
    assert launched("--training long --fold 2", "evaluate").settings["fold"] == "2"
    assert "found a training of fold 2" in refusal("--training long --fold 0", "evaluate")
    assert "found --checkpoint as well" in refusal("--training long --checkpoint m.pt", "evaluate")
    assert "found --ckpt_dir as well" in refusal("--training long --ckpt_dir run", "evaluate")
    assert "did you mean --training long?" in refusal("--training log", "evaluate")
    assert "--ckpt_dir DIR" in refusal("--training long", "train")


def test_never_evaluates_other_weights_than_those_of_the_folder_named(bundle: Path) -> None:
    (bundle / "models").mkdir()
    (bundle / "models" / "model.pt").touch()
    message = refusal("--ckpt_dir run", "evaluate")
    assert message.startswith("run/model.pt: found no such file; expected the weights of a training. ")
    Path("run").mkdir()
    Path("run/model.pt").touch()
    assert launched("--ckpt_dir run", "evaluate").settings["checkpoint"] == "run/model.pt"
    # A training in the bundle that has the folder's name is another one.
    trained(bundle, "run", fold=1)
    assert launched("--ckpt_dir run", "evaluate").settings["checkpoint"] == "run/model.pt"


def test_a_training_by_its_folder_is_measured_on_its_own_fold(bundle: Path) -> None:
    folder = trained(bundle, "long", fold=2)
    assert launched(f"--ckpt_dir {folder}", "evaluate").settings["fold"] == "2"
    message = refusal(f"--ckpt_dir {folder} --fold 0", "evaluate")
    assert message.startswith("--ckpt_dir shapes/runs/long: found a training of fold 2, whose training cases include")
    assert "--checkpoint shapes/runs/long/model.pt" in message
    assert launched(f"--checkpoint {folder}/model.pt --fold 0", "evaluate").settings["fold"] == "0"


def test_measures_the_test_cases_with_any_training(bundle: Path) -> None:
    message = refusal("--part test", "evaluate")
    assert "expected the bundle's own weights, or those of a training. " in message
    trained(bundle, "long", fold=2)
    assert "dataset.json: found no test case" in refusal("--part test", "evaluate")
    file = bundle / "data" / "dataset.json"
    items = [{"image": "../../data/i0.nii", "label": "l0.nii"}, {"image": "i1.nii"}]
    file.write_text(json.dumps({**json.loads(file.read_text()), "test": items}))
    for words in ("", "--training long", "--ckpt_dir shapes/runs/long", "--training long --fold 0"):
        assert launched(f"--part test {words}", "evaluate").settings["checkpoint"] == "shapes/runs/long/model.pt"
    assert "trainings: long (fold 2" in refusal("--part test --fold 0", "evaluate")
    assert "found part 'half'; expected validation (the fold's cases) or test" in refusal("--part half", "evaluate")
    assert "found unknown override: --part" in refusal("--part test")


def test_results_of_other_weights_are_never_replaced(bundle: Path) -> None:
    weights = trained(bundle, "long", fold=0) / "model.pt"
    Path("out").mkdir()
    for sha256, is_refused in (("ab" * 32, True), (hashlib.sha256(weights.read_bytes()).hexdigest(), False)):
        Path("out/summary.json").write_text(json.dumps({"provenance": {"checkpoint_sha256": sha256}}))
        if is_refused:
            assert "out: found the evaluation of other weights" in refusal("--output_dir out", "evaluate")
        else:
            assert launched("--output_dir out", "evaluate").settings["output_dir"] == "out"


@pytest.mark.usefixtures("bundle")
def test_evaluates_in_one_process() -> None:
    assert "found 2; expected 1" in refusal("--processes 2", "evaluate")


def test_says_what_a_training_left_and_how_to_evaluate_it(bundle: Path) -> None:
    folder = Path("run")
    folder.mkdir()
    for name in ("model.pt", "last.pt"):
        (folder / name).touch()
    launch = launched("--dataset_dir data --ckpt_dir run --epochs 4 --resume --skip concat --network_def#dropout 0.1")
    # A higher Dice in the history may be of fewer cases.
    (folder / "history.csv").write_text("epoch,val_mean_dice\n1,0.5\n2,0.9\n3,0.75\n4,0.625\n")
    summary = {"epochs": 4, "best_dice": 0.75, "best_epoch": 3}
    (folder / "training.json").write_text(json.dumps(summary))
    assert launch.outcome() == (
        "best weights: run/model.pt  (validation Dice 0.7500, epoch 3 of 4)\n"
        "last state:   run/last.pt\n"
        "curve:        run/history.csv\n"
        "next:         lightskip evaluate shapes --dataset_dir data --ckpt_dir run\n"
    )
    # What it says is what works.
    words = shlex.split(launch.outcome().splitlines()[-1])[4:]
    assert prepare("evaluate", bundle, words).settings["checkpoint"] == "run/model.pt"


def test_a_training_on_all_cases_is_measured_on_test_cases_alone(bundle: Path) -> None:
    for dataset in (Path("data"), bundle / "data"):
        content = json.loads((dataset / "dataset.json").read_text())
        (dataset / "t.nii").touch()
        (dataset / "dataset.json").write_text(json.dumps({**content, "test": [{"image": "t.nii", "label": "l0.nii"}]}))
    trained(bundle, "fold_all", fold="all", trained_cases=3, epochs=4, planned=4, finished=True)
    for words in ("", "--training fold_all", "--ckpt_dir shapes/runs/fold_all", "--training fold_all --fold 1"):
        assert "a training on all cases, which has no validation part" in refusal(words, "evaluate")
    for words in ("--part test", "--part test --training fold_all"):
        launch = launched(words, "evaluate")
        assert launch.settings["fold"] == "all"
        assert "fold_all (trained on all 3 cases, not validated, 4 of 4 epochs" in launch.note
    named = launched("--checkpoint shapes/runs/fold_all/model.pt", "evaluate")
    assert named.note == (
        "note: shapes/runs/fold_all/model.pt: trained on all 3 cases, not validated; these cases are among them\n"
    )
    # A training of a fold is still found without a name.
    trained(bundle, "fold_0", fold=0)
    assert launched("", "evaluate").settings["checkpoint"] == "shapes/runs/fold_0/model.pt"


def test_an_evaluation_measures_one_training(bundle: Path) -> None:
    trained(bundle, "fold_0", fold=0)
    assert "several folds for one evaluation" in refusal("--folds all", "evaluate")


def test_says_what_a_training_on_all_cases_left(bundle: Path) -> None:
    trained(bundle, "fold_all", fold="all", trained_cases=3, epochs=4, planned=4, finished=True)
    launch = launched("--fold all --early_stop_patience 0")
    assert launch.outcome() == (
        "weights:      shapes/runs/fold_all/model.pt  (trained on all 3 cases, not validated)\n"
        "next:         lightskip predict shapes SCANS -o OUT --training fold_all\n"
    )


@pytest.mark.usefixtures("bundle")
def test_all_cases_and_an_early_stop_are_refused() -> None:
    assert "early_stop_patience 30 and fold all" in refusal("--fold all")
    # A patience that the training never reaches stops nothing.
    assert launched("--fold all --epochs 20").settings["fold"] == "all"
    assert launched("--fold all --minutes 3 --early_stop_patience 0").settings["fold"] == "all"


def test_of_several_trainings_the_next_command_names_the_one_that_was_made(bundle: Path) -> None:
    for name in ("fold_0", "long"):
        trained(bundle, name, fold=0)
    launch = launched("--dataset_dir data")
    assert launch.outcome().splitlines()[-1].endswith("lightskip evaluate shapes --dataset_dir data --training fold_0")
    words = shlex.split(launch.outcome().splitlines()[-1])[4:]
    assert prepare("evaluate", bundle, words).settings["checkpoint"] == "shapes/runs/fold_0/model.pt"


@pytest.mark.usefixtures("bundle")
def test_an_interrupted_training_says_how_to_go_on() -> None:
    launch = launched("--ckpt_dir run --epochs 4 --processes 2")
    assert launch.resume_hint() == ""
    Path("run").mkdir()
    Path("run/last.pt").touch()
    assert launch.resume_hint() == (
        "continue with: lightskip train shapes --ckpt_dir run --epochs 4 --resume True --processes 2\n"
    )


def test_the_runtime_of_an_evaluation_is_checked_before_anything_starts(bundle: Path) -> None:
    trained(bundle, "fold_0", fold=0)
    assert launched("", "evaluate").settings["runtime"] == "auto"
    assert launched("--runtime pytorch", "evaluate").settings["runtime"] == "pytorch"
    assert "found nonsense; expected one of auto, pytorch, openvino" in refusal("--runtime nonsense", "evaluate")
    config = bundle / "configs" / "evaluate.json"
    content = json.loads(config.read_text())
    # Configs of earlier versions have no runtime.
    for key in ("runtime", "runtime_choice"):
        del content[key]
    config.write_text(json.dumps(content))
    assert "runtime" not in launched("", "evaluate").settings
    assert "lightskip render shapes" in refusal("--runtime openvino", "evaluate")
