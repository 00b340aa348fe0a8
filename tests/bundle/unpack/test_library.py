import pytest
from monai.bundle import ComponentLocator

from pipeline.bundle.unpack.library import is_of_monai, is_usual


@pytest.mark.parametrize(
    "name", ["UNet", "LoadImaged", "RandFlipD", "DiceLoss", "SupervisedTrainer", "decollate_batch"]
)
def test_usual_names_are_found_where_monai_has_them(name: str) -> None:
    where = ComponentLocator().get_component_module_name(name)
    assert str(where).startswith("monai.")
    assert is_of_monai(name)
    assert is_usual(name)
    assert is_usual(f"{where}.{name}")


@pytest.mark.parametrize("target", ["monai.os.UNet", "os.UNet", "monai.bundle.UNet", "run_cmd", "UNet.x", ""])
def test_what_only_looks_usual(target: str) -> None:
    assert not is_usual(target)
