import ast

import pytest

from pipeline.bundle.unpack.judge import ACTING, CALLING, PLAIN, REACHING, Context, imported_names, judge, level_of


def level(text: str, **names: set[str]) -> int:
    return level_of(judge(ast.parse(text), Context(names, own=("scripts",))))


@pytest.mark.parametrize(
    "text",
    [
        "os.system('id')",
        "torch.os.system('id')",
        "os.path.os.system('id')",
        "anything.system('id')",
        "getattr(os, 'system')('id')",
        "getattr(torch, 'o' + 's')",
        "__import__('os')",
        "eval('1')",
        "exec('1')",
        "().__class__.__base__.__subclasses__()",
        "'{0.__globals__}'.format(f)",
        "torch.__dict__['os']",
        "sys.modules['os']",
        "subprocess.run(['id'])",
        "from subprocess import run",
        "from os import system as forward",
        "import urllib.request as r",
        "urllib.request.urlopen('http://x')",
        "torch.hub.load('a/b', 'c')",
        "torch.load(f, weights_only=False)",
        "torch.load(f, weights_only=w)",
        "torch.jit.load(f)",
        "np.load(f, allow_pickle=True)",
        "pickle.loads(b)",
        "yaml.load(f)",
        "open('x', 'w')",
        "open('x', mode)",
        "pathlib.Path('x').open('w')",
        "pathlib.Path('x').unlink()",
        "shutil.rmtree('x')",
        "os.remove('x')",
        "base64.b64decode('aWQ=')",
        "ctypes.CDLL('x')",
        "monai.utils.misc.run_cmd(['id'])",
        "'" + "A" * 2000 + "'",
        "[x for x in [globals()]]",
        "lambda: breakpoint.__globals__",
        "monai.transforms.LoadImage(reader='os.system')",
        "torch.multiprocessing.subprocess.run(['id'])",
        "timeit.timeit('1')",
        "pkgutil.resolve_name('os:system')",
        "operator.attrgetter('system')(os)",
        "torch.utils.collect_env.run('id')",
        "cProfile.run('1')",
        "profile.run('1')",
        "trace.Trace().run('1')",
        "code.interact()",
        "zipimport.zipimporter('x')",
        "unittest.mock.patch('os.system')",
        "sqlite3.connect('x')",
        "logging.config.fileConfig('x')",
        "numpy.testing.runstring('1', {})",
        "numpy.f2py.compile('x')",
        "zipfile.ZipFile('x').extractall('y')",
        "pathlib.Path('x').rmdir()",
        "pathlib.Path('x').symlink_to('y')",
        "pathlib.Path('x').chmod(0)",
        "yaml.load(f, Loader=SafeLoader.x)",
        "yaml.load(f, Loader=" + "-" * 500 + "SafeLoader)",
        "yaml.load(f, Loader=scripts.MySafeLoader)",
    ],
)
def test_what_acts_on_the_machine(text: str) -> None:
    assert level(text) == ACTING


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "os.path.os",
        "platform.system()",
        "os.environ['RANK']",
        "open('x')",
        "open('x', 'rb')",
        "PIL.Image.open(f)",
        "sys.path.append('x')",
        "setattr(torch.backends.cudnn, 'benchmark', True)",
        "torch.load(f)",
        "import scripts",
        "scripts.run()",
        "import no_such_package",
        "pathlib.Path('x').read_text()",
        "monai.utils.optional_import('x')",
        "monai.bundle.run()",
        "torch.save(1, f)",
        "pathlib.Path('x').rename('y')",
    ],
)
def test_what_reaches_the_system_or_other_code(text: str) -> None:
    assert level(text) == REACHING


@pytest.mark.parametrize(
    "text",
    [
        "torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network.eval()",
        "re.compile('x')",
        "torch.load(f, weights_only=True)",
        "yaml.load(f, Loader=yaml.SafeLoader)",
        "np.load(f, allow_pickle=False)",
        "torch.trace(x)",
        "os.path.join('a', 'b')",
        "sys.exit('no scans')",
        "sorted(os.listdir('a'))",
        "getattr(x, 'name')",
    ],
)
def test_what_only_calls(text: str) -> None:
    assert level(text) == CALLING


@pytest.mark.parametrize(
    "text", ["a + '/eval'", "torch.float32", "import torch", "from glob import glob", "[1, *b][:-9]"]
)
def test_what_is_plain(text: str) -> None:
    assert level(text) == PLAIN


def test_a_name_means_what_it_was_imported_from() -> None:
    names = imported_names(ast.parse("from os import system as forward\nimport torch.distributed as dist\nimport a.b"))
    assert names == {"forward": {"os.system"}, "dist": {"torch.distributed"}, "a": {"a"}}
    assert level("forward('id')", **names) == ACTING
    assert level("forward('id')") == CALLING
    assert level("dist.get_rank()", **names) == CALLING
    assert level("run(1)", run={"scripts.a.run"}) == REACHING


def test_an_import_elsewhere_makes_no_name_harmless() -> None:
    assert level("os.system('id')", os={"monai.utils.first"}) == ACTING
    assert level("eval('1')", eval={"torch.sum"}) == ACTING
    trees = [ast.parse("from os import system as f"), ast.parse("from glob import glob as f")]
    assert level("f('id')", **imported_names(*trees)) == ACTING


def test_what_stands_before_a_dot_is_judged_too() -> None:
    assert level("open('x', 'w').a.b") == ACTING
    assert level("(os.system('id') or x).a.b.c") == ACTING
    assert level("[eval('1')][0].a") == ACTING


def test_remarks_come_once_with_their_first_line_the_most_notable_first() -> None:
    text = "import os\nos.getenv('A')\nos.getenv('B')\nos.path.exists('C')\nos.system('D')\n"
    remarks = [(one.level, one.line, one.what) for one in judge(ast.parse(text), Context())]
    assert remarks[:3] == [
        (ACTING, 5, "os.system: runs programs"),
        (REACHING, 1, "imports os: reaches the operating system"),
        (REACHING, 2, "os.getenv: reads or sets environment variables"),
    ]
    assert {what for of, _, what in remarks[3:] if of == CALLING} == {
        "calls os.getenv",
        "calls os.path.exists",
        "calls os.system",
    }


def test_a_script_may_look_up_a_name_and_speak_of_insides() -> None:
    tree = ast.parse('"""Sets __dict__."""\ngetattr(self, name)')
    assert level_of(judge(tree, Context(expression=False))) == REACHING
    assert level_of(judge(tree, Context())) == ACTING
