#!/kaniko/python/bin/python3.11 -IXutf8
"""Runs the image's program of this file's name with an audit hook that watches over it; for tests in containers.

From the first time that an image is put in place of `/`, these are errors, and are written to `violations` beside
this file: an import for which disks would be searched; opening a Python file or library, or loading a library,
outside of /kaniko; starting a program outside of /kaniko while an image is in `/`. After each time, and at the
end, so is what is mapped into memory from outside of /kaniko. As `unsealed` it is `executor` without sealing.
"""

import os
import sys
import traceback
from importlib.machinery import PathFinder

_HOME = "/kaniko/"
_JOURNAL = "/kaniko/takeover/journal.json"
_ASIDE = "/kaniko/takeover/aside"
_FOLDER, _NAME = os.path.split(os.path.abspath(sys.argv[0]))
_LOG = os.open(f"{_FOLDER}/violations", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
_state = {"sealed": False, "busy": False}


def _text(value):
    return os.fsdecode(value) if isinstance(value, str | bytes | os.PathLike) else ""


def _is_foreign(path):
    return path != "" and not path.startswith(_HOME)


def _is_code(path):
    return path.endswith((".py", ".pyc", ".so")) or ".so." in os.path.basename(path)


def _violation(event, first):
    match event:
        case "import" if first not in sys.builtin_module_names and PathFinder in sys.meta_path:
            return f"late import of {first}"
        case "open" if _is_code(_text(first)) and _is_foreign(_text(first)):
            return f"open of {_text(first)}"
        case "ctypes.dlopen" if _is_foreign(_text(first)):
            return f"library {_text(first)}"
        case "subprocess.Popen" | "os.posix_spawn" if _is_foreign(_text(first)) and os.path.exists(_JOURNAL):
            return f"program {_text(first)}"
    return ""


def _watch(event, arguments):
    if not _state["sealed"]:
        if event == "os.rename" and _text(arguments[1]).startswith(_ASIDE):
            _state["sealed"] = True
            os.write(_LOG, b"sealed\n")
    elif event == "os.remove" and _text(arguments[0]) == _JOURNAL:
        _check_maps()
    elif found := _violation(event, arguments[0] if arguments else ""):
        stack = "".join(traceback.format_stack()[-8:-2])
        os.write(_LOG, f"{found} in process {os.getpid()}\n{stack}\n".encode("utf-8", "replace"))
        raise RuntimeError(f"sealed: {found}")


def _hook(event, arguments):
    if _state["busy"]:
        return
    _state["busy"] = True
    try:
        _watch(event, arguments)
    finally:
        _state["busy"] = False


def _check_maps():
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.rstrip("\n").split(None, 5) for line in file]
    foreign = {line[5] for line in lines if len(line) == 6 and line[5].startswith("/")}
    for path in sorted(path for path in foreign if not path.startswith((_HOME, "/dev/"))):
        os.write(_LOG, f"mapped {path}\n".encode("utf-8", "replace"))


if _NAME == "unsealed":
    from executor.rootfs.inplace import sealing

    _NAME = "executor"
    sealing.seal = sealing.begin_sealing = lambda: None
sys.addaudithook(_hook)
with open(f"/kaniko/{_NAME}", encoding="utf-8") as entry:
    program = compile(entry.read(), f"/kaniko/{_NAME}", "exec")
try:
    exec(program, {"__name__": "__main__"})
finally:
    _check_maps()
