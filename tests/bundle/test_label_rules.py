import pytest
from pydantic_core import PydanticCustomError

from pipeline.bundle.label_rules import check_region_order, check_regions
from pipeline.data.errors import InputError
from pipeline.data.label_keys import read_label_keys

LABELS = {"background": 0, "outer": 1, "middle": 2, "inner": 3}
REGIONS = {"whole": ["outer", "middle", "inner"], "core": ["middle", "inner"], "inner": ["inner"]}
ORDER = {"whole": "outer", "core": "middle", "inner": "inner"}


def test_nested_regions_are_accepted() -> None:
    check_regions(REGIONS, LABELS)
    check_region_order(ORDER, REGIONS, LABELS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"core": ["outer", "middle", "inner"]}, "has the same labels as whole"),
        ({"middle": ["outer", "inner"]}, "is the name of a label that is not in this region"),
        ({" ": ["outer", "inner"]}, "needs a name"),
        ({"whole/edge": ["outer", "inner"]}, "is a name with a slash"),
        ({"core": []}, "needs at least one label"),
        ({"core": ["middel"]}, "did you mean middle?"),
    ],
)
def test_what_a_datalist_may_not_have_is_refused_in_a_plan_too(changes: dict[str, list[str]], message: str) -> None:
    regions = REGIONS | changes
    with pytest.raises(PydanticCustomError) as raised:
        check_regions(regions, LABELS)
    assert message in str(raised.value)
    with pytest.raises(InputError):
        read_label_keys({"labels": LABELS, "regions": regions}, "datalist.json")


def test_a_region_writes_one_of_its_own_labels() -> None:
    order = ORDER | {"inner": "outer"}
    with pytest.raises(PydanticCustomError, match="writes outer, which is not in this region; expected one of inner"):
        check_region_order(order, REGIONS, LABELS)
    with pytest.raises(InputError):
        read_label_keys({"labels": LABELS, "regions": REGIONS, "region_order": order}, "datalist.json")
