"""Stand-ins for packages that few runs need: they act like the package, and nothing of them stays."""

# Imports within blocks are what is tested.
# ruff: noqa: PLC0415

import copy
import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pipeline import imports
from pipeline.imports import deferred_imports, quick_imports

# Of two packages the first is deferred as a whole, and of the second a part.
FILES = {
    "slow_package/__init__.py": """
__version__ = "1.2"
SIDES = {"square": 4}


def double(number):
    return 2 * number


class Shape:
    sides = 3

    def __init__(self, name):
        self.name = name
""",
    "slow_package/drawing.py": "from . import Shape\n\n\ndef draw(shape):\n    return f'a {shape.name}'\n",
    "slow_package/inner.py": "from . import SIDES\n\nfound = SIDES['square']\n",
    "quick_package/__init__.py": "",
    "quick_package/measure.py": "def length(text):\n    return len(text)\n",
    "user_package.py": """
import slow_package
import slow_package.drawing
from quick_package import measure
from slow_package import Shape, double


def is_shape(thing):
    return isinstance(thing, Shape)
""",
}
NAMES = {file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in FILES}


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    deferred = {"slow_package", "slow_package.drawing", "quick_package.measure", "absent_package"}
    monkeypatch.setattr(imports, "_DEFERRED", frozenset(deferred))
    before = list(sys.meta_path)
    yield
    for name in NAMES & sys.modules.keys():
        del sys.modules[name]
    assert sys.meta_path == before


def imported() -> set[str]:
    """Those of the packages that are really imported."""
    return {name for name in NAMES & sys.modules.keys() if type(sys.modules[name]) is ModuleType}


def test_a_package_is_imported_when_it_is_first_called() -> None:
    with deferred_imports():
        import slow_package
        from slow_package import double

        assert imported() == set()
    assert imported() == set()
    assert double(21) == 42
    assert imported() == {"slow_package"}
    # The name that was imported within the block is still the stand-in.
    assert slow_package.double(2) == 4
    assert slow_package is not sys.modules["slow_package"]


def test_a_package_is_used_within_the_block() -> None:
    with deferred_imports():
        import slow_package

        assert slow_package.double(21) == 42
        assert imported() == {"slow_package"}
        import slow_package as again

        assert again is sys.modules["slow_package"]
        from quick_package import measure

        # Others are still deferred.
        assert imported() == {"slow_package", "quick_package"}
    assert measure.length("abc") == 3


def test_a_class_of_a_stand_in_is_subclassed_and_compared_with() -> None:
    with deferred_imports():
        from slow_package import Shape

        class Square(Shape):
            sides = 4

    import slow_package

    assert Square.__mro__[1] is slow_package.Shape
    assert Square("a").name == "a"
    assert isinstance(slow_package.Shape("b"), Shape)
    assert isinstance(Square("a"), Shape)
    assert isinstance("text", (int, Shape)) is False
    assert issubclass(Square, Shape)
    assert not issubclass(int, Shape)
    assert Shape("c").name == "c"


def test_attributes_of_a_stand_in_s_names_are_the_package_s() -> None:
    with deferred_imports():
        import slow_package
        from slow_package import SIDES, Shape
    assert imported() == set()
    assert Shape.sides == 3
    assert SIDES.get("square") == 4
    with pytest.raises(AttributeError, match="corners"):
        Shape.corners  # noqa: B018
    # Programs ask for a version at once, to compare it.
    assert slow_package.__version__ == "1.2"


def test_copies_and_documentation_tools_do_not_import_the_package() -> None:
    with deferred_imports():
        from slow_package import double
    other = copy.deepcopy(double)
    assert not hasattr(double, "__wrapped__")
    assert imported() == set()
    assert other(1) == 2


def test_a_name_that_the_package_lacks_is_an_error_only_when_it_is_used() -> None:
    with deferred_imports():
        from slow_package import nothing
    with pytest.raises(ModuleNotFoundError, match=r"slow_package\.nothing"):
        nothing()


def test_a_missing_package_stays_missing() -> None:
    with deferred_imports():
        with pytest.raises(ModuleNotFoundError) as raised:
            import absent_package  # noqa: F401
        assert raised.value.name == "absent_package"


def test_after_the_block_the_import_is_a_real_one() -> None:
    with deferred_imports():
        import slow_package.drawing
        from quick_package import measure
    assert imported() == {"quick_package"}
    import quick_package

    assert not hasattr(quick_package, "measure")
    import quick_package.measure

    assert type(quick_package.measure) is ModuleType
    assert measure.length is not quick_package.measure.length
    assert measure.length("ab") == quick_package.measure.length("ab")
    import slow_package.drawing

    assert slow_package.drawing.draw(slow_package.Shape("circle")) == "a circle"


@pytest.mark.parametrize("within", [True, False])
def test_a_part_of_a_stand_in_is_used_without_it(within: bool) -> None:
    # The part takes names from the whole, whose stand-in has none of them.
    with deferred_imports():
        import slow_package.drawing
        import slow_package.inner

        drawing, inner = slow_package.drawing, slow_package.inner
        if within:
            assert drawing.draw(slow_package.Shape("circle")) == "a circle"
    assert drawing.draw(slow_package.Shape("circle")) == "a circle"
    # This one is not deferred by name.
    assert inner.found.bit_length() == 3
    assert imported() == {"slow_package", "slow_package.drawing", "slow_package.inner"}


def test_a_module_that_imports_stand_ins_works_after_the_block() -> None:
    with deferred_imports():
        import user_package
    assert imported() == {"user_package", "quick_package"}
    import slow_package

    assert user_package.is_shape(slow_package.Shape("a"))
    assert user_package.double(4) == 8
    assert user_package.measure.length("four") == 4
    assert user_package.slow_package.drawing.draw(slow_package.Shape("a")) == "a a"


def test_blocks_may_be_nested() -> None:
    with deferred_imports():
        with deferred_imports():
            from slow_package import double
        # The outer block still defers.
        import slow_package

        assert imported() == set()
        assert double(2) == 4
        assert imported() == {"slow_package"}
    assert slow_package.double(3) == 6


def test_an_error_in_the_block_leaves_nothing_behind() -> None:
    before, paths = set(sys.modules), list(sys.meta_path)

    def interrupt() -> None:
        with quick_imports(), deferred_imports():
            import slow_package.drawing  # noqa: F401

            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert sys.meta_path == paths
    assert set(sys.modules) == before
    assert gc.isenabled()


def test_an_error_of_the_package_leaves_the_block_s_finder(tmp_path: Path) -> None:
    (tmp_path / "slow_package" / "drawing.py").write_text("raise ImportError('a library is missing')\n")
    with deferred_imports():
        from slow_package import drawing

        for _ in range(2):
            with pytest.raises(ImportError, match="a library is missing"):
                drawing.draw()
        import quick_package.measure  # noqa: F401

        assert "quick_package.measure" not in imported()


def test_garbage_is_collected_again_after_the_block() -> None:
    with quick_imports():
        assert not gc.isenabled()
        # Another one inside leaves it to the outer one.
        with quick_imports():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.unfreeze()


def test_a_user_who_switched_collection_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with quick_imports():
            import slow_package  # noqa: F401
        assert not gc.isenabled()
    finally:
        gc.enable()


REAL = """
import sys
from pipeline.imports import deferred_imports
with deferred_imports():
    import scipy.sparse.linalg
    from scipy import ndimage
    from scipy.sparse.linalg import LinearOperator
    parts = {"scipy.ndimage._measurements", "scipy.sparse._csr", "scipy.sparse.linalg._interface"}
    assert not parts & sys.modules.keys()
    # Only the part is used within the block.
    class Own(LinearOperator):
        pass
import numpy
assert parts - sys.modules.keys() == {"scipy.ndimage._measurements"}
assert ndimage.label(numpy.array([1, 0, 1]))[1] == 2
import scipy.sparse.linalg
assert issubclass(Own, scipy.sparse.linalg.LinearOperator)
assert scipy.sparse.csr_matrix([[3]]).sum() == 3
from scipy import ndimage
assert type(ndimage).__name__ == "module", type(ndimage)
"""


def test_it_works_with_scipy() -> None:
    done = subprocess.run([sys.executable, "-c", REAL], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
