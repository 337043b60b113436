"""Chat templates are programs of others: compared with the known ones, shown, shut in."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.test_render import FAMILIES, TEMPLATES, renderer_of
from tests.security.hostile import acting
from tests.tiny import CHATML, tiny_folder, tiny_renderer
from znatok import cli, messages
from znatok.data import template_sandbox
from znatok.data.known_templates import is_known
from znatok.data.render import read_template
from znatok.errors import ModelError

ROOT = Path(__file__).parents[2]
TOKENS = {"eos_token": "<|im_end|>"}
CONTROL = ("<|im_end|>",)
GOOD = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"

# What must fail, with the key of its message; "works" marks what is stopped by the sandbox without a failure.
ATTACKS = {
    "{{ ''.__class__.__mro__ }}": "template_broken",
    "{{ ''.__class__.__base__.__subclasses__() }}": "template_broken",
    "{{ cycler.__init__.__globals__ }}": "template_broken",
    "{{ cycler.__init__.__globals__.os.system('echo') }}": "template_broken",
    "{{ lipsum.__globals__['os'] }}": "template_broken",
    "{{ joiner.__init__.__globals__.__builtins__ }}": "template_broken",
    "{{ raise_exception.__globals__.sys }}": "template_broken",
    "{{ strftime_now.__code__.co_consts[0] }}": "template_broken",
    "{{ self.__init__.__globals__ }}": "template_broken",
    "{{ ('%s' | attr('format')).__self__.x }}": "template_broken",
    "{{ '{0.__class__.__mro__}'.format(1) }}": "template_broken",
    "{{ messages.append(1) }}": "template_broken",
    "{% include '/etc/passwd' %}": "template_broken",
    "{% import 'os' as os %}": "template_broken",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}": "template_broken",
    "{{ range(10 ** 9) | list }}": "template_broken",
    "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}": "template_broken",
    "{{ 'a' * 10 ** 10 }}": "too_much_memory",
    "{{ [1] * 10 ** 10 }}": "too_much_memory",
    "{{ 'a'.ljust(10 ** 10) }}": "too_much_memory",
    "{{ '%9999999999d' | format(1) }}": "too_much_memory",
    "{{ 'a' | center(10 ** 10) }}": "too_much_memory",
    "{% for i in range(90000) %}{{ i }}{% endfor %}": "too_much_length",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}": "too_much_time",
    "{{ 9 ** (9 ** 9) }}": "too_much_*",
    "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}": "too_much_*",
    "a" * (1 << 21): "too_much_length",
}
MEASURED = """
import json, pathlib, resource, sys, time
from znatok.data.render import read_template
from znatok.errors import ModelError

def own_peak():
    # On Linux ru_maxrss of a new process starts at the peak of the process that started it, and that one runs tests.
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))

seen = []
for attack in json.load(sys.stdin):
    start = time.perf_counter()
    try:
        read_template(attack, {"eos_token": "<|im_end|>"}, ("<|im_end|>",))
        key = "none"
    except ModelError as error:
        key = error.key + " " + str(error)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    seen.append([key, time.perf_counter() - start, peak, own_peak()])
print(json.dumps(seen))
"""


@pytest.fixture(autouse=True)
def english():
    messages.set_language("en")


@pytest.mark.skipif(sys.platform == "win32", reason="there the memory of a process is measured in another way")
def test_a_hostile_template_fails_with_a_message_within_a_second_and_in_bounded_memory(record_property):
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        input=json.dumps(list(ATTACKS)),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
        timeout=120,
        check=True,
    )
    unit = 1 if sys.platform == "darwin" else 1024
    slowest, greatest = 0.0, 0
    for (attack, wanted), (said, seconds, peak, own) in zip(ATTACKS.items(), json.loads(done.stdout), strict=True):
        key, _, message = said.partition(" ")
        assert key.startswith("render." + wanted.rstrip("*")), (attack[:60], said)
        assert message.endswith("or name another base model with --model.")
        slowest, greatest = max(slowest, seconds), max(greatest, peak * unit, own * unit)
    record_property("slowest_seconds", round(slowest, 2))
    record_property("greatest_bytes", greatest)
    assert slowest < 1 + SLACK_SECONDS
    assert greatest < 2 * template_sandbox.MEMORY_BYTES


SLACK_SECONDS = 4
"""For a machine that has other things to do: alone, the slowest of them takes 0.8 s."""


@pytest.mark.parametrize("attack", ["{{ ''.__class__ }}", "{{ messages.__class__ }}", "{{ x.__class__.y }}"])
def test_what_the_sandbox_hides_is_nothing_where_it_does_no_harm(attack):
    hidden = "{% if false %}" + attack + "{% endif %}"
    assert read_template(hidden + GOOD, TOKENS, CONTROL) == read_template(GOOD, TOKENS, CONTROL)


def test_the_built_in_model_s_template_needs_no_process_of_its_own(monkeypatch):
    template = (TEMPLATES / "smollm2.jinja").read_text(encoding="utf-8")
    template_sandbox._renderings.cache_clear()
    monkeypatch.setattr(subprocess, "Popen", None)
    assert is_known(read_template(template, TOKENS, CONTROL))
    with pytest.raises(TypeError):
        read_template(template + " ", TOKENS, CONTROL)


def test_the_process_of_a_template_is_not_told_our_secrets(monkeypatch):
    names = "HF_TOKEN HUGGING_FACE_HUB_TOKEN AWS_SECRET_ACCESS_KEY OPENAI_API_KEY PIP_INDEX_URL GITHUB_TOKEN".split()
    assert not any(map(template_sandbox._TAKEN_ALONG.fullmatch, names))
    given = []
    started = subprocess.Popen

    def start(*arguments, env, **more):
        given.append(env)
        return started(*arguments, env=env, **more)

    for name in names:
        monkeypatch.setenv(name, "geheim")
    monkeypatch.setattr(subprocess, "Popen", start)
    read_template(GOOD + "{# told nothing #}", TOKENS, CONTROL)
    assert len(given) == 1
    assert "geheim" not in given[0].values()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_templates_of_our_short_names_are_known(family):
    assert is_known(renderer_of(family).template)
    assert is_known(tiny_renderer().template)


HOSTILE = "{% for m in messages %}\x1b]0;x\x07[red]!{{ m.role }}!\n{{ m.content }}<|im_end|>{% endfor %}"


def test_an_unknown_template_is_shown_before_training_and_a_known_one_is_not(tmp_path, capsys):
    table = tmp_path / "t.csv"
    table.write_text("question,answer\nWhat is a resistor?,A part.\nWhat is a diode?,A valve.\n", encoding="utf-8")
    folder = tiny_folder(tmp_path / "tiny")
    outputs = []
    for template in (HOSTILE, CHATML):
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
        assert cli.run(["check", str(table), "--model", str(folder), "--lang", "en", "--json"]) == 0
        outputs.append(capsys.readouterr())
    told, quiet = ([one["kind"] for one in json.loads(out.out)["problems"]] for out in outputs)
    assert "unknown_template" in told
    assert "unknown_template" not in quiet
    shown = "".join(outputs[0].err.split("\n"))
    assert "!user!⏎QUESTION<|im_end|>" in shown.replace(" ", "")
    assert acting(shown) == []


def test_a_template_that_steers_by_code_fails_as_one_message(tmp_path):
    folder = tiny_folder(tmp_path / "tiny")
    (folder / "chat_template.jinja").write_text("{{ ''.__class__.__mro__ }}" + CHATML, encoding="utf-8")
    from znatok.use.loading import load_base

    with pytest.raises(ModelError, match="access to attribute '__class__' of 'str' object is unsafe"):
        load_base(str(folder))
