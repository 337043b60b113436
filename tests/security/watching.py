"""What a program of Python does to the world outside of it, as told by its audit hook.

`watched(code, *arguments)` runs `code` in a process that writes down every connection, look-up of an address, pickled
class, started program and, if asked, every opened file; `noted(events)` does it for a block of this one. Child
processes are not watched: they are among the programs.
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
NETWORK = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
    "socket.getnameinfo",
    "socket.sendto",
    "socket.sendmsg",
    "socket.bind",
    "urllib.Request",
    "http.client.connect",
    "ftplib.connect",
    "smtplib.connect",
    "webbrowser.open",
)
PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn")
PICKLES = ("pickle.find_class",)
_PRELUDE = """
import atexit, json, os, sys
if hasattr(os, "sched_setaffinity"):  # on a busy machine two threads wait for each other far longer than they compute
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
_seen, _asked, _out = [], set(json.loads(sys.argv.pop(1))), sys.argv.pop(1)
def _hook(event, arguments):
    if event in _asked:
        _seen.append([event, repr(arguments)])
def _write():
    with os.fdopen(os.open(_out, os.O_WRONLY), "w") as file:
        json.dump(list(_seen), file)
atexit.register(_write)
sys.addaudithook(_hook)
"""


_recording: list[tuple[list[list[str]], set[str]]] = []


def _note(event, arguments):
    for seen, events in _recording:
        if event in events:
            seen.append([event, repr(arguments)])


@contextmanager
def noted(events):
    """The events of this process while the block lasts, as [name, arguments]."""
    if _note not in _hooks:  # an audit hook is for ever
        sys.addaudithook(_note)
        _hooks.append(_note)
    seen = []
    _recording.append((seen, set(events)))
    try:
        yield seen
    finally:
        _recording.pop()


_hooks = []


def watched(code, *arguments, events=NETWORK, cwd=None, stdout=subprocess.PIPE, **environment):
    """Runs `code`; its finished process, and the events as [name, arguments]. What it says goes to `stdout` alone."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "events.json"
        out.write_bytes(b"")
        done = subprocess.run(
            [sys.executable, "-c", _PRELUDE + code, json.dumps(list(events)), str(out), *map(str, arguments)],
            cwd=cwd or ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            timeout=600,
            check=False,
        )
        return done, json.loads(out.read_text(encoding="utf-8"))
