import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.bundle.unpack.configs import expressions_of
from pipeline.bundle.unpack.judge import ACTING, CALLING, PLAIN, REACHING


def level(folder: Path, content: dict[str, Any], where: str = "net#_target_") -> int | None:
    """The level of a class that is listed; None where it is counted among the usual ones."""
    (folder / "a.json").write_text(json.dumps(content))
    found, usual = expressions_of(folder, ["a.json"], ["scripts"])
    levels = [one.level for one in found if one.id == where]
    assert len(levels) == 1 or list(usual.values()) == [1]
    return levels[0] if levels else None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("UNet", None),
        ("LoadImaged", None),
        ("LoadImageDict", None),
        ("monai.networks.nets.UNet", None),
        ("monai.transforms.io.dictionary.LoadImaged", None),
        ("torch.optim.Adam", None),
        ("torch.nn.parallel.DistributedDataParallel", None),
        ("ignite.handlers.ProgressBar", None),
        ("scripts.net.Net", REACHING),
        ("segmentation_models_pytorch.Unet", REACHING),
        ("numpy.loadtxt", REACHING),
        ("load", REACHING),
        ("NoSuchClass", REACHING),
        ("AutoRunner", REACHING),
        ("MLFlowHandler", REACHING),
        ("ignite.handlers.MLflowLogger", REACHING),
        ("torch.nn.functional.importlib.import_module", ACTING),
        ("monai.data.utils.pickle_hashing", REACHING),
        ("torch.nn.modules.module.os.getcwd", REACHING),
        ("monai.transforms.utils.np.UNet", REACHING),
        ("monai.data.utils.pickle.loads", ACTING),
        ("torch.hub.load", ACTING),
        ("torch.os.system", ACTING),
        ("torch.utils.collect_env.run", ACTING),
        ("torch.fx.graph_module._forward_from_src", ACTING),
        ("torch.package.PackageImporter", ACTING),
        ("numpy.testing.runstring", ACTING),
        ("numpy.savetxt", ACTING),
        ("monai.apps.utils.extractall", ACTING),
        ("monai.bundle.push_to_hf_hub", ACTING),
        ("_run_cmd_torchrun", ACTING),
        ("extractall", ACTING),
        ("download", ACTING),
        ("eval", ACTING),
        ("subprocess.run", ACTING),
        ("timeit.timeit", ACTING),
        ("os..system", ACTING),
        ("os.system ", ACTING),
        ("lambda: 0", ACTING),
        ("os.class", ACTING),
        (["os.system"], ACTING),
        ({"_target_": "UNet"}, ACTING),
        ("$@model", CALLING),
        ("$@model.forward", CALLING),
        ("$@model.forward()", ACTING),
        ("$@text.strip", ACTING),
        ("@nowhere", ACTING),
        ("%file.json#x", ACTING),
        ("@text", ACTING),
        ("%text", ACTING),
        ("@#text", ACTING),
        ("@##text", ACTING),
        ("$@imports#0.system", ACTING),
        ("$@imports#1.utils.collect_env.run", ACTING),
        ("$@imports#1.optim.Adam", CALLING),
        ("$@imports#1.some.function", REACHING),
        ("$torch.optim.Adam", PLAIN),
        ("$torch.hub.load", ACTING),
        ("@again", None),
        ("@circle", ACTING),
    ],
)
def test_a_class_is_judged_by_what_its_name_comes_to(tmp_path: Path, target: object, expected: int | None) -> None:
    content = {
        "net": {"_target_": target},
        "model": {"_target_": "UNet"},
        "text": "os.system",
        "imports": ["$import os", "$import torch"],
        "again": "torch.optim.Adam",
        "circle": "@circle",
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    found, usual = expressions_of(tmp_path, ["a.json"], ["scripts"])
    levels = [one.level for one in found if one.id == "net#_target_"]
    if target == "@again":
        # Listed all the same: what is written there is not the class.
        assert levels == [0]
    elif expected is None:
        assert (levels, usual.get(str(target), 0)) == ([], 1 + (target == "UNet"))
    else:
        assert levels == [expected]


@pytest.mark.parametrize(
    ("target", "beside", "expected"),
    [
        ("open", {"file": "x"}, REACHING),
        ("open", {"file": "x", "mode": "w"}, ACTING),
        ("open", {"file": "x", "mode": "$'w'"}, ACTING),
        ("numpy.load", {"allow_pickle": True}, ACTING),
        ("numpy.load", {"allow_pickle": False}, REACHING),
        ("LoadImaged", {"allow_pickle": "@yes"}, ACTING),
        ("torch.load", {"f": "x", "weights_only": False}, ACTING),
        ("torch.load", {"f": "x", "weights_only": True}, REACHING),
        ("PersistentDataset", {"weights_only": False}, ACTING),
        ("monai.networks.nets.resnet18", {"pretrained": True}, REACHING),
        ("UNet", {"mode": "w", "keys": ["a"], "x": None, "y": {"z": 1}}, None),
        ("UNet", {"_debug_": True}, REACHING),
        # MONAI looks these names up, in any module.
        ("LoadImaged", {"reader": "NibabelReader"}, None),
        ("LoadImaged", {"reader": "itkreader"}, None),
        ("LoadImaged", {"reader": ["PILReader", "monai.data.ITKReader"]}, None),
        ("LoadImaged", {"reader": "scripts.reader.Reader"}, REACHING),
        ("LoadImaged", {"reader": "os.system"}, ACTING),
        ("LoadImaged", {"reader": ["NibabelReader", "os.system"]}, ACTING),
        ("LoadImaged", {"reader": "@cmd"}, ACTING),
        ("LoadImaged", {"reader": "$'os.sys' + 'tem'"}, ACTING),
        ("SaveImage", {"writer": "NibabelWriter"}, None),
        ("SaveImage", {"writer": "torch.utils.collect_env.run"}, ACTING),
        ("PatchInferer", {"merger_cls": "AvgMerger"}, None),
        ("PatchInferer", {"merger_cls": "eval"}, ACTING),
        ("UNet", {"anything": "os.system"}, ACTING),
    ],
)
def test_what_stands_beside_a_class_counts(
    tmp_path: Path, target: str, beside: dict[str, Any], expected: int | None
) -> None:
    assert level(tmp_path, {"net": {"_target_": target, **beside}, "yes": True, "cmd": "os.system"}) == expected


def test_what_is_put_beside_a_class_from_elsewhere_counts(tmp_path: Path) -> None:
    assert level(tmp_path, {"net": {"_target_": "open", "file": "x"}, "net#mode": "w"}) == ACTING
    assert level(tmp_path, {"net": {"in_channels": 1}, "net#_target_": "UNet"}) == REACHING
