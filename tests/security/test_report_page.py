"""A report full of HTML that would run, and of formulas that would be calculated: all of it stays text."""

import re

import pytest

from tests.security.hostile import HTML
from tests.use.test_report import CHROME, Page, browse, full_exam, record, table_of
from znatok import messages
from znatok.run_folder import RunFolder, append_line, write_bytes, write_json, write_lines, write_text
from znatok.use.report import write_report

PLAIN = "слово"
FORMULAS = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://x.example?"&A1)',
    '=WEBSERVICE("http://x.example")',
    "=IMPORTXML(A1)",
    "+1+1",
    "-1+1",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "\u200b=1+1",
    "＝1+1",
    "＋1",
    "－1+1",
    "＠SUM(1)",
    "%0A=1+1",
    '"=1+1"',
    ";=1+1",
    ",=1+1",
    "'=1+1",
)


@pytest.fixture(autouse=True)
def english():
    messages.set_language("en")


def run_of(path, texts):
    """A finished run in which each of `texts` stands wherever a text of a table, a model or a file can stand."""
    run = RunFolder(path)
    run.adapter.mkdir(parents=True)
    write_bytes(run.adapter / "adapter_model.safetensors", b"weights")
    write_text(run.settings, "\n".join(f"model = '''{text}'''" for text in texts))
    choices = [{"name": text, "value": text, "reason": text} for text in texts]
    write_json(run.plan, {"table": "".join(texts), "source": {"name": texts[0]}, "choices": choices})
    rows = [{"row": n, "question": text, "answer": text, "use": "trained"} for n, text in enumerate(texts, 1)]
    problems = [
        {"row": n, "use": "conflict", "severity": "warning", "message": text} for n, text in enumerate(texts, 1)
    ]
    write_lines(run.rows, rows + problems)
    for text in texts:
        for step in (0, 10):
            append_line(
                run.metrics, {"event": "sampled", "step": step, "question": text, "answer": text, "is_cut": step == 0}
            )
    append_line(run.metrics, {"event": "trainingended", "stopped_because": "known", "steps": 10, "seconds": 5.0})
    exam = full_exam()
    exam["summary"]["model"] = exam["summary"]["preset"] = texts[-1]
    write_json(run.exam, exam)
    said = [record(n, text, text, before=text, after=text, search=text) for n, text in enumerate(texts, 1)]
    wrong = {"exact": {"before": False, "after": False}, "passed": False, "cause": "cut"}
    said += [record(n, text, PLAIN, **wrong, after=text) for n, text in enumerate(texts, 1)]
    write_lines(run.answers, said)
    write_report(run)
    return run


def html_of(run):
    return run.report.read_text(encoding="utf-8")


def test_there_are_dozens_of_payloads_and_all_are_different():
    assert len(set(HTML)) == len(HTML) >= 60


def test_a_page_of_payloads_has_the_same_elements_as_one_of_plain_words(tmp_path):
    words = [f"{PLAIN}{place}" for place in range(len(HTML))]
    plain, hostile = (Page(html_of(run_of(tmp_path / name, texts))) for name, texts in (("a", words), ("b", HTML)))
    marks = {"ins", "del"}  # where an answer differs from the table's
    tags = [[tag for tag, _ in page.elements if tag not in marks] for page in (plain, hostile)]
    assert tags[1] == tags[0]
    assert len(tags[0]) > 10 * len(HTML)
    assert {name for _, attributes in hostile.elements for name in attributes} == {
        name for _, attributes in plain.elements for name in attributes
    }
    held = [value for _, attributes in hostile.elements for value in attributes.values() if value and "ran" in value]
    assert held == []


@pytest.mark.parametrize("payload", HTML, ids=ascii)
def test_a_payload_is_shown_as_the_text_that_it_is(tmp_path, payload):
    page = Page(html_of(run_of(tmp_path / "run", [payload])))
    assert page.open == []
    assert page.all("script") == page.all("iframe") == page.all("object") == []
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    shown = " ".join(page.text.split())
    assert " ".join(re.sub("[\x00\x0c\ufeff\ufffd]", "", payload).split()) in re.sub("[\ufeff\ufffd]", "", shown)


def test_the_name_of_a_run_is_text_too(tmp_path):
    name = "<img src=x onerror=document.title='ran'>"
    try:
        run = run_of(tmp_path / name, [PLAIN])
    except OSError:
        pytest.skip("there are no such names on this system")
    page = Page(html_of(run))
    assert name in page.text
    assert [one for one in page.all("img") if "onerror" in one] == []


def test_no_formula_is_left_in_the_table_of_answers(tmp_path):
    run = run_of(tmp_path / "run", FORMULAS)
    cells = {cell for row in table_of(run) for cell in row}
    for cell in cells:
        plain = re.sub(r"^[\s\ufeff\u200b\u00a0]+", "", cell)
        assert not re.match(r"[=+\-@＝＋－＠]", plain) or re.fullmatch(r"-?[\d.,]+", cell), cell
    assert any(cell.startswith("'=cmd|") for cell in cells)


POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def title_after(folder, name, html):
    """The title of a page once a browser has shown it for five seconds."""
    write_text(folder / name, html)
    shown = browse(folder, "--virtual-time-budget=5000", "--dump-dom", (folder / name).as_uri())
    return re.search(r"<title>(.*?)</title>", shown, re.DOTALL)[1]


@pytest.mark.browser
@pytest.mark.skipif(CHROME is None, reason="there is no Chromium here")
def test_no_payload_runs_in_a_browser_not_even_without_the_page_s_policy(tmp_path):
    html = html_of(run_of(tmp_path / "run", HTML))
    assert POLICY.search(html)
    opened = html.replace("<details>", "<details open>")
    for name, page in {"as-it-is": html, "opened": opened, "without-policy": POLICY.sub("", opened)}.items():
        assert "ran" not in title_after(tmp_path, f"{name}.html", page)


@pytest.mark.browser
@pytest.mark.skipif(CHROME is None, reason="there is no Chromium here")
def test_the_payloads_do_run_where_they_are_no_text(tmp_path):
    frame = "<!DOCTYPE html><meta charset=utf-8><title>-</title><body>"
    chosen = [HTML[place] for place in (0, 14, 26, 38, 42)]
    ran = [title_after(tmp_path, f"{place}.html", frame + payload) for place, payload in enumerate(chosen)]
    assert ran.count("ran") >= 4
