"""Names whose use says what Python text can do: the tables behind `judge`."""

from __future__ import annotations

import sys

__all__ = ["BUILTINS", "INSIDES", "KNOWN", "LOOKS", "PAIRS", "WORDS"]

_REACHES, _ACTS = 2, 3

KNOWN = frozenset(
    {"monai", "torch", "ignite", "numpy", "np", "scipy", "skimage", "nibabel", "SimpleITK", "PIL", "tqdm", "pandas"}
    | sys.stdlib_module_names
)
"""Modules whose import alone is not notable; what of Python's own library is, the tables below say."""

_PROGRAMS = (_ACTS, "runs programs")
_CODE = (_ACTS, "runs text as code, or loads code by its name")
_NETWORK = (_ACTS, "reaches the network")
_NATIVE = (_ACTS, "loads or calls machine code")
_PICKLES = (_ACTS, "loads pickles, which run code")
_FILES = (_ACTS, "changes or deletes files")
_HIDDEN = (_ACTS, "unpacks text that cannot be read as it stands")
_MODULES = (_ACTS, "replaces modules or how they are found")
_PROGRAM_FILE = (_ACTS, "loads a program and runs it")
_SYSTEM = (_REACHES, "reaches the operating system")
_INTERPRETER = (_REACHES, "reaches the interpreter")
_WHERE = (_REACHES, "changes or reads where modules are found")
_ENVIRONMENT = (_REACHES, "reads or sets environment variables")
_LATER = (_REACHES, "runs something later or beside the rest")
_BUNDLES = (_REACHES, "reads and runs configs")
_WRITES = (_REACHES, "makes files or folders")

_By = dict[str, tuple[int, str]]


def _each(names: str, what: tuple[int, str]) -> _By:
    return dict.fromkeys(names.split(), what)


BUILTINS: _By = {
    **_each("eval exec compile __import__", _CODE),
    **_each("globals locals vars", (_ACTS, "reaches into Python's insides")),
    **_each("breakpoint input", (_REACHES, "waits for what is typed")),
}
"""Functions of Python that need no import: by the bare name alone, since `network.eval()` is another thing."""

INSIDES = frozenset(
    _each(
        "__subclasses__ __globals__ __builtins__ __bases__ __base__ __mro__ __code__ __closure__ __getattribute__ "
        "__dict__ __reduce__ __reduce_ex__ __loader__ __spec__ __import__ f_globals f_locals f_builtins f_back "
        "gi_frame tb_frame cr_frame __local_refs",
        (_ACTS, "reaches into Python's insides"),
    )
)
"""Attributes by which text that names no module gets at one all the same."""

WORDS: _By = {
    **_each("subprocess popen Popen check_call check_output run_cmd _run_cmd_torchrun", _PROGRAMS),
    **_each("collect_env f2py", _PROGRAMS),
    **_each("system startfile forkpty execl execle execlp execv execve execvp execvpe", _PROGRAMS),
    **_each("spawnl spawnv spawnve spawnvp posix_spawn", _PROGRAMS),
    **_each("importlib import_module runpy builtins pydoc codeop instantiate locate exec_module", _CODE),
    **_each("timeit cProfile zipimport runstring runctx resolve_name", _CODE),
    **_each("attrgetter methodcaller _forward_from_src PackageImporter", _CODE),
    **_each(
        "socket urllib requests http httpx aiohttp ftplib smtplib paramiko urlopen urlretrieve wget gdown boto3 "
        "huggingface_hub download_url download_and_extract load_url load_state_dict_from_url xmlrpc telnetlib "
        "download push_to_hf_hub download_large_files snapshot_download hf_hub_download from_pretrained",
        _NETWORK,
    ),
    **_each("ctypes cffi load_library cpp_extension cdll load_inline", _NATIVE),
    **_each(
        "pickle cPickle dill joblib marshal shelve cloudpickle read_pickle unsafe_load full_load add_safe_globals "
        "UnsafeLoader",
        _PICKLES,
    ),
    **_each("shutil rmtree unlink write_text write_bytes removedirs extractall savetxt savez", _FILES),
    **_each("rmdir symlink_to hardlink_to chmod lchmod sqlite3 tofile", _FILES),
    **_each("base64 binascii zlib b64decode fromhex decompress codecs", _HIDDEN),
    **_each("meta_path path_hooks settrace setprofile addaudithook mock", _MODULES),
    **_each("os posix nt", _SYSTEM),
    **_each("sys inspect gc", _INTERPRETER),
    **_each("environ getenv putenv", _ENVIRONMENT),
    **_each("atexit threading multiprocessing signal", _LATER),
    **_each("optional_import", (_REACHES, "imports a module by its name")),
    **_each(
        "ConfigParser ConfigWorkflow create_workflow run_workflow BundleAlgo ConfigComponent ConfigExpression", _BUNDLES
    ),
    **_each("makedirs mkdir touch rename", _WRITES),
    **_each("read_text read_bytes", (_REACHES, "reads a file")),
    **_each("pdb", (_REACHES, "stops in the debugger")),
}
"""Names that are notable wherever they stand in a dotted name: `torch.os` is `os`."""

PAIRS: _By = {
    **_each("os.system os.popen os.fork os.kill os.killpg pty.spawn", _PROGRAMS),
    **_each("platform.system", (_REACHES, "asks what system this is")),
    **_each("os.remove os.unlink os.rmdir os.rename os.renames os.replace os.removedirs os.chmod os.chown", _FILES),
    **_each("os.truncate os.symlink os.link os.write os.open", _FILES),
    **_each("os.environ os.getenv os.putenv", _ENVIRONMENT),
    **_each("os.makedirs os.mkdir torch.save", _WRITES),
    **_each("sys.modules unittest.mock", _MODULES),
    **_each("trace.Trace profile.run profile.Profile code.interact code.InteractiveConsole", _CODE),
    **_each("code.InteractiveInterpreter", _CODE),
    **_each("logging.config numpy.testing np.testing", _CODE),
    **_each("sys.path", _WHERE),
    **_each("torch.hub", (_ACTS, "fetches code from the network and runs it")),
    **_each("jit.load export.load onnxruntime.InferenceSession", _PROGRAM_FILE),
    **_each("torch.ops", _NATIVE),
    **_each("monai.bundle", _BUNDLES),
    # In PyTorch this is its data loaders' way of handing tensors over.
    **_each("torch.multiprocessing", _LATER),
}
"""Two neighbours in a dotted name, which say more than either alone."""

LOOKS = frozenset(
    {
        "sys.stdout",
        "sys.stderr",
        "sys.exit",
        "sys.argv",
        "sys.platform",
        "sys.version_info",
        "sys.maxsize",
        "os.path",
        "os.sep",
        "os.listdir",
        "os.getcwd",
        "os.cpu_count",
        "os.scandir",
        "os.walk",
        "os.stat",
        "os.fspath",
    }
)
"""What of `os` and `sys` only looks, prints or ends."""
