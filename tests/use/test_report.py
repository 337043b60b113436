"""The report: one page that says what a run came to, and a table of its answers. Made from made-up runs."""

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from znatok import messages
from znatok.errors import RunError
from znatok.run_folder import RunFolder, append_line, write_bytes, write_json, write_lines, write_text
from znatok.use.report import answers as side_by_side
from znatok.use.report import write_report
from znatok.use.report.answers import differences
from znatok.use.report.answers_table import harmless
from znatok.use.report.figures import counted, interval, number, percent

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8ffff3f0005fe02fe"
    "dccc59e70000000049454e44ae426082"
)
NASTY = [
    ("Что такое <script>alert(1)</script>?", "Это </style><b>не</b> разметка & не «кавычки»."),
    ("Что значит \"5\" > '4'?", "Больше."),
    ("מה זה נגד?", "נגד \u202eabc\u202c הוא רכיב."),
    ("Что это: 👩\u200d🔬?", "Учёная 👩\u200d🔬 за работой."),
    ('=HYPERLINK("http://x.example")', "-5 °C"),
    ("Что такое\nдиод?", "@диод\tпропускает ток\x00 в одну сторону."),
]
VOID = {"meta", "link", "img", "br", "line", "circle", "hr", "input"}


@pytest.fixture(autouse=True, params=["ru", "en"])
def language(request):
    messages.set_language(request.param)
    return request.param


def share(name, hits, n):
    return {name: hits / n, f"{name}_ci": [max(0.0, hits / n - 0.1), min(1.0, hits / n + 0.1)]}


def measures(n, generated, exact, passed):
    return {
        "n": n,
        "n_generated": generated,
        **share("exact", exact, n),
        **share("passed", passed, generated),
        "chrf": 94.23,
        "chrf_ci": [90.0, 97.5],
        **share("stopped", generated, generated),
        **share("confused", 0, generated),
    }


def record(place, question, reference, **changes):
    made = {
        "set": "trained",
        "row": place,
        "question": question,
        "reference": reference,
        "exact": {"before": False, "after": True},
        "before": "Не знаю.",
        "after": reference,
        "passed": True,
        "chrf": 100.0,
        "stopped": True,
        "passed_by": {"before": False, "after": True, "search": True},
        "search": reference,
        "search_row": place,
        "cause": None,
        "logprob": -0.125,
    }
    return made | changes


def full_exam():
    sets = {
        "trained": {"before": measures(125, 40, 0, 0), "after": measures(125, 125, 123, 124)},
        "reworded": {
            "before": measures(125, 40, 0, 1),
            "after": measures(125, 125, 111, 113),
            "grounded": {"n": 125, **share("passed", 120, 125)},
            "auto": {
                "n": 125,
                **share("passed", 110, 125),
                **share("confidently_wrong", 5, 125),
                **share("declined", 10, 125),
                **share("among_three", 113, 125),
            },
            "search": {"n": 125, **share("passed", 119, 125)},
        },
        "unknown_far": {
            "after": {"n": 60, "n_generated": 60, "passed": None, **share("confidently_wrong", 6, 60)},
            "auto": {"n": 60, "n_generated": 60, **share("declined", 54, 60)},
        },
    }
    return {
        "summary": {"model": "owner/some-model", "preset": "learn", "train_seconds": 1676.7, "total_seconds": 2114.5},
        "sets": sets,
        "mcnemar": {"reworded": {"passed": {"only_before": 0, "only_after": 39, "p": 3e-12}}, "trained": None},
        "auroc": {"reworded": 0.931},
        "forgetting": {
            "bits_per_byte": {"ru": {"before": 1.5, "after": 1.62}, "en": {"before": 1.0, "after": 1.001}},
            "kl": {"ru": 0.12, "en": None},
            "trained_answers": {"ru": 0.05, "ru_ci": [0.0, 0.2]},
        },
    }


def full_answers():
    answers = [record(place, *pair) for place, pair in enumerate(NASTY, start=1)]
    wrong = {"exact": {"before": False, "after": False}, "passed": False}
    answers.append(record(7, "Чему равен ток?", "Ток равен 2 А.", **wrong, after="Ток равен 3 А.", cause="cut"))
    answers.append(
        record(8, "А ещё?", "Резистор.", **wrong, set="reworded", after="Диод.", cause="confused", confused_with=2)
    )
    passed_off = {"confidently_wrong": True, "confused_with": 2}
    answers.append(record(None, "Кто?", None, set="unknown_far", exact=None, passed=None, **passed_off))
    return answers


@pytest.fixture
def full(tmp_path):
    """A run in which all of it is there."""
    run = RunFolder(tmp_path / 'мой <прогон> & "другой"' if shutil.os.name != "nt" else tmp_path / "мой прогон")
    run.adapter.mkdir(parents=True)
    write_bytes(run.adapter / "adapter_model.safetensors", b"weights")
    write_text(run.settings, 'preset = "learn"\nr = 16\n')
    choices = [{"name": "шаги", "value": "544", "reason": "каждая из <125> строк — 17 раз"}]
    write_json(run.plan, {"table": "таблица <1>.csv", "source": {"name": "builtin"}, "choices": choices})
    rows = [{"row": place, "question": q, "answer": a, "use": "trained"} for place, (q, a) in enumerate(NASTY, 1)]
    problem = {"row": 3, "use": "empty_answer", "severity": "error", "message": "строка 3: <пусто>"}
    write_lines(run.rows, [*rows, problem])
    for step, answer in [(0, "Что такое?"), (50, "Это </style>раз"), (100, "")]:
        event = {"event": "sampled", "step": step, "question": NASTY[0][0], "answer": answer, "is_cut": step == 50}
        append_line(run.metrics, event)
    append_line(run.metrics, {"event": "sampled", "step": 0, "question": "asked once", "answer": "", "is_cut": False})
    append_line(run.metrics, {"event": "trainingended", "stopped_because": "known", "steps": 544, "seconds": 1676.7})
    write_json(run.exam, full_exam())
    write_lines(run.answers, full_answers())
    write_bytes(run.graph, PIXEL)
    return run


@pytest.fixture
def bare(tmp_path):
    """A run that was killed before its first step."""
    run = RunFolder(tmp_path / "bare")
    run.path.mkdir()
    write_json(run.plan, {})
    return run


class Page(HTMLParser):
    """A page taken apart: its text, its elements, and whether every one of them is closed."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.pieces = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.pieces.append(data)

    @property
    def text(self):
        return re.sub(r"[ \n]+", " ", "".join(self.pieces))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(run):
    write_report(run)
    page = Page(run.report.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def table_of(run):
    write_report(run)
    content = run.answers_table.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    lines = io.StringIO(content.decode("utf-8-sig"), newline="")
    return list(csv.reader(lines, delimiter=DELIMITER[messages.language()], strict=True))


DELIMITER = {"ru": ";", "en": ","}


def test_the_page_asks_nothing_of_any_other_place_and_holds_no_script(full):
    page = page_of(full)
    assert page.all("script") == []
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    references = [one[name] for _, one in page.elements for name in ("src", "href") if name in one]
    assert [value for value in references if not value.startswith("data:")] == ["answers.csv"]
    policy = next(one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "script" not in policy
    style = re.search(r"<style>(.*?)</style>", full.report.read_text(encoding="utf-8"), re.DOTALL)
    assert not re.search(r"url\(|@import|&#", style[1])


def test_whatever_stands_in_a_cell_is_text(full):
    page = page_of(full)
    for question, answer in NASTY:
        for cell in (question, answer):
            assert " ".join(cell.split()).replace("\x00", "\ufffd") in " ".join(page.text.split())
    assert "строка 3: <пусто>" in page.text
    assert "таблица <1>.csv" in page.text
    assert full.path.name in page.text


def test_text_of_any_direction_keeps_to_its_own_place(full):
    page = page_of(full)
    html = full.report.read_text(encoding="utf-8")
    assert re.search(r'<h4 dir="auto">מה זה נגד\?</h4>', html)
    assert all(attributes.get("dir") == "auto" for attributes in page.all("h4"))


def test_the_verdict_counts_rows_and_questions(full, language):
    known, passed = {
        "ru": ("Модель знает наизусть 123 из 125 строк", "верно отвечает на 113 из 125 вопросов, заданных другими"),
        "en": ("The model knows 123 of 125 rows by heart", "answers 113 of 125 questions asked in other words."),
    }[language]
    page = page_of(full)
    assert page.text.index(known) < page.text.index(passed)
    assert {"ru": "Оценка отлично", "en": "Grade excellent"}[language] in page.text
    assert page.all("html") == [{"lang": language}]


@pytest.mark.parametrize(
    ("known", "passed", "grade"),
    [
        (98, 90, "excellent"),
        (97, 100, "good"),
        (100, 75, "good"),
        (100, 74, "fair"),
        (49, 100, "poor"),
        (None, 50, "fair"),
    ],
)
def test_the_grade_wants_both_the_rows_and_other_wordings(full, known, passed, grade):
    sets = {"reworded": {"after": measures(100, 100, 0, passed)}}
    if known is not None:
        sets["trained"] = {"after": measures(100, 100, known, 100)}
    write_json(full.exam, {"sets": sets})
    page = page_of(full)
    assert f"grade {grade}" in {attributes.get("class") for attributes in page.all("p")}


def test_search_that_beats_the_model_is_said_to_and_what_each_is_good_for(full, language):
    text = page_of(full).text
    wins = {"ru": "Поиск здесь точнее модели.", "en": "Here search is more accurate than the model."}
    assert wins[language] in text
    assert {"ru": "119 из 125", "en": "119 of 125"}[language] in text
    assert {"ru": "Поиск хорош там", "en": "Search is good where"}[language] in text


def test_what_rows_add_is_compared_with_the_model_alone(full, language):
    exam, answers = full_exam(), full_answers()
    exam["sets"]["reworded"] |= {
        "grounded": share("passed", 3, 4) | {"n": 4},
        "after": share("passed", 1, 4) | {"n": 4},
    }
    write_json(full.exam, exam)
    for row, (weights, grounded) in enumerate([(False, True), (False, True), (True, True), (False, False)], start=1):
        by = {"before": False, "after": weights, "grounded": grounded, "auto": grounded, "search": True}
        auto = {"source": "row", "row": row, "confidence": 0.8125, "closest": [row]}
        more = {"passed": weights, "passed_by": by, "grounded": "Так.", "auto": auto}
        answers.append(record(row, f"А {row}?", "Так.", set="reworded", **more))
    write_lines(full.answers, answers)
    text = page_of(full).text
    assert {"ru": "на 3 из 4 вопросов", "en": "3 of 4 questions"}[language] in text
    assert re.search({"ru": r"у одной модели\s—\s25,0\s%", "en": r"by the model alone 25\.0%"}[language], text)
    assert {"ru": "случайной (p = 0,500)", "en": "be chance (p = 0.500)"}[language] in text
    assert messages.text("report.answer.grounded_right") in text
    table = full.answers_table.read_text(encoding="utf-8-sig").splitlines()
    assert messages.text("report.answers_table.source") in table[0]
    assert any("0,812" in line or "0.812" in line for line in table)


def test_a_model_that_beats_search_is_said_to_and_a_difference_by_chance_is_called_so(full, language):
    exam = full_exam()
    exam["sets"]["reworded"]["search"] = {"n": 125, **share("passed", 112, 125)}
    write_json(full.exam, exam)
    text = page_of(full).text
    assert {"ru": "Модель здесь точнее поиска.", "en": "Here the model is more accurate than search."}[language] in text
    assert {"ru": "может быть и случайной (p = 1,000)", "en": "may well be chance (p = 1.000)"}[language] in text


def test_scores_come_with_counts_intervals_and_what_they_mean(full, language):
    text = page_of(full).text
    cells = {
        "ru": [
            "98,4 % 123 из 125",
            "90,4 % 113 из 125 80,4–100 %",
            "94,2 90,0–97,5",
            "0,93",
            "прибавилось 39, убыло 0",
        ],
        "en": ["98.4% 123 of 125", "90.4% 113 of 125 80.4–100%", "94.2 90.0–97.5", "0.93", "gained 39, lost 0"],
    }
    for cell in cells[language]:
        assert cell.replace(" %", "\u00a0%") in text
    assert {"ru": "не ниже 97,1", "en": "at least 97.1"}[language] in text  # Clopper and Pearson, 125 of 125
    assert {"ru": "ответ и его конец точно такие", "en": "exactly the table's"}[language] in text


def test_a_set_that_was_answered_for_a_sample_only_says_so(full, language):
    said = {"ru": "написаны на 40 вопросов", "en": "written to 40 questions"}
    assert page_of(full).text.count(said[language]) == 2


def test_the_answers_of_one_question_stand_in_their_order_in_time(full, language):
    text = page_of(full).text
    first, second, third = {
        "ru": ("до обучения Что такое?", "шаг 50 Это </style>раз\u00a0…", "шаг 100 (молчит)"),
        "en": ("before training Что такое?", "step 50 Это </style>раз\u00a0…", "step 100 (says nothing)"),
    }[language]
    assert text.index(first) < text.index(second) < text.index(third)
    assert "asked once" not in text


def test_missed_answers_come_first_with_cause_and_marked_words(full, language):
    write_report(full)
    html = full.report.read_text(encoding="utf-8")
    assert "Ток равен <ins>3</ins> А." in html
    assert "Ток равен <del>2</del> А." in html
    text = Page(html).text
    cause, other = {
        "ru": ("неверно: ответ обрывается строка 7", "неверно: перепутано со строкой 2"),
        "en": ("wrong: the answer breaks off row 7", "wrong: mixed up with row 2"),
    }[language]
    passed_off = {
        "ru": "выдала за ответ чужую строку таблицы: строка 2",
        "en": "passed off a row of the table as the answer: row 2",
    }
    assert passed_off[language] in text
    assert cause in text
    assert other in text
    assert html.index("Чему равен ток?") < html.index("<details>") < html.rindex("Больше.")


def test_folded_away_are_checkup_plan_settings_hashes_and_forgetting(full, language):
    text = page_of(full).text
    said = {
        "ru": [
            "Прочитано строк: 6",
            "русский 1,50 → 1,62, английский 1,00 → 1,00",
            "русский 0,12.",
        ],
        "en": ["Rows read: 6", "Russian 1.50 → 1.62, English 1.00 → 1.00", "Russian 0.12."],
    }
    for piece in [*said[language], "каждая из <125> строк", 'preset = "learn" r = 16']:
        assert piece in text
    adapter, rows = re.findall(r"\b[0-9a-f]{64}\b", text)
    assert adapter == hashlib.sha256(b"weights").hexdigest() != rows


def test_what_was_forgotten_is_said_in_one_plain_line(full, language):
    exam = full_exam()
    exam["forgetting"] |= {"n": {"ru": 10, "en": 10}, "kl": {"ru": 0.1, "en": 0.1}}
    exam["forgetting"]["trained_answers"] = {"ru": 0.1, "ru_before": 0.0, "en": 0.0, "en_before": 0.0}
    write_json(full.exam, exam)
    said = {"ru": "на 1 из 20 общих вопросов", "en": "answers 1 of 20 general questions"}
    assert said[language] in page_of(full).text


def test_a_run_that_never_got_anywhere_has_a_page_without_empty_headings(bare, language):
    page = page_of(bare)
    assert {"ru": "Экзамена ещё не было.", "en": "There was no exam yet."}[language] in page.text
    headings = re.findall(r"<(?:h[2-4]|summary|caption)[^>]*>(.*?)<", bare.report.read_text(encoding="utf-8"))
    assert (
        headings
        == {
            "ru": ["Протокол", "Версии и контрольные суммы"],
            "en": ["The record", "Versions and checksums"],
        }[language]
    )
    assert page.all("img") == page.all("table") == []
    assert not bare.answers_table.exists()


@pytest.mark.parametrize("absent", ["summary", "sets", "mcnemar", "auroc", "forgetting"])
@pytest.mark.parametrize("how", ["absent", "null"])
def test_an_exam_of_which_a_part_is_missing_still_gives_a_page(full, absent, how):
    exam = full_exam()
    exam[absent] = None
    if how == "absent":
        del exam[absent]
    write_json(full.exam, exam)
    assert page_of(full).text


def test_an_older_run_with_fewer_measures_still_gives_a_page_and_a_table(full, language):
    names = "set row question reference exact before after"
    old = {name: full_answers()[1][name] for name in names.split()}
    write_lines(full.answers, [old | {"passed": True, "chrf": 100.0, "stopped": True}])
    write_json(full.exam, {"sets": {"trained": {"after": {"n": 1, "n_generated": 1, "exact": 1.0, "passed": None}}}})
    said = {"ru": "Модель знает наизусть 1 из 1 строки.", "en": "The model knows 1 of 1 row by heart."}
    assert said[language] in page_of(full).text
    header, row = table_of(full)
    assert len(header) == len(row) == 11


def test_ten_thousand_rows_give_a_page_that_opens_and_say_where_the_rest_is(full, language, monkeypatch):
    monkeypatch.setattr(side_by_side, "ANSWERS_SHOWN", 30)
    wrong = {"exact": {"before": False, "after": False}, "passed": False, "after": "Нет."}
    answers = [record(place, f"Вопрос {place}?", f"Ответ {place}.") for place in range(1, 1001)]
    answers += [record(place, f"Другой {place}?", "Да.", **wrong) for place in range(1, 12)]
    write_lines(full.answers, answers)
    page = page_of(full)
    assert len(page.all("article")) == 30
    assert {"ru": "Здесь не показано: 981 ответ.", "en": "Not shown here: 981 answers."}[language] in page.text
    assert len(table_of(full)) == 1 + 1011


def test_room_on_the_page_is_shared_so_that_small_sets_are_whole():
    assert side_by_side._shared_out([100, 3, 50], 60) == [29, 3, 28]
    assert side_by_side._shared_out([5, 3], 60) == [5, 3]
    assert side_by_side._shared_out([], 60) == []


def test_the_table_of_answers_is_what_excel_reads(full, language):
    header, *rows = table_of(full)
    assert header[:3] == {"ru": ["вопросы", "строка", "вопрос"], "en": ["questions", "row", "question"]}[language]
    assert len(rows) == len(full_answers())
    assert b"\r\n" in full.answers_table.read_bytes()
    by_name = dict(zip(header, rows[6], strict=True))
    assert {"3 А" in cell for cell in by_name.values()} == {True, False}
    assert {"ru": "-0,125", "en": "-0.125"}[language] in by_name.values()
    assert {"ru": "ответ обрывается", "en": "the answer breaks off"}[language] in by_name.values()
    assert {"ru": "нет", "en": "no"}[language] in by_name.values()


def test_no_cell_of_the_table_begins_a_formula(full):
    _, *rows = table_of(full)
    cells = [cell for row in rows for cell in row if cell and not re.fullmatch(r"-?[\d.,]+", cell)]
    assert [cell for cell in cells if re.match(r"[=+\-@\t\r]", cell)] == []
    assert '\'=HYPERLINK("http://x.example")' in cells
    assert "'-5 °C" in cells


@pytest.mark.parametrize("cell", ["=1+1", "+7 900", "-5 °C", "@a", "\tx", " =1+1", "\r\n=1", "＝1"])
def test_what_excel_would_calculate_is_made_text(cell):
    assert harmless(cell).startswith("'")


@pytest.mark.parametrize("cell", ["I = U / R", "— тире", "'", "", "5 - 4", "строка\nвторая"])
def test_what_excel_only_shows_stays_as_it_is(cell):
    assert harmless(cell) == cell


@pytest.mark.parametrize(
    ("answer", "reference", "added", "left_out"),
    [
        ("Ток 2 А.", "Ток 2 А.", [], []),
        ("Ток равен 3,5 А.", "Ток равен 3,2 А.", ["3,5"], ["3,2"]),
        ("Это диод и ещё стол.", "Это диод.", ["и ещё стол"], []),
        ("Это диод", "Это диод.", [], ["."]),
        ("a b c d", "a x y d", ["b c"], ["x y"]),
        ("При 10 В и 1 А тепло растёт.", "При 20 В и 1 А тепло падает.", ["10", "растёт"], ["20", "падает"]),
        ("Вот нагревы 1 В тут.", "Вот катушка 1 кОм тут.", ["нагревы 1 В"], ["катушка 1 кОм"]),
        ("Кот спит на диване.", "Резистор ограничивает ток, уходящий в тепло.", [], []),
        ("", "Ток.", [], []),
        ("Сон 👩\u200d🔬 тут", "Сон 👩\u200d🚀 тут", ["👩\u200d🔬"], ["👩\u200d🚀"]),
    ],
)
def test_the_words_in_which_two_answers_differ_are_marked(answer, reference, added, left_out):
    ours, theirs = differences(answer, reference)
    assert "".join(piece.text for piece in ours) == answer
    assert "".join(piece.text for piece in theirs) == reference
    assert [piece.text for piece in ours if piece.mark == "ins"] == added
    assert [piece.text for piece in theirs if piece.mark == "del"] == left_out


def test_nouns_follow_their_number(language):
    forms = [counted("rows_taught", n) for n in (1, 2, 5, 11, 12, 21, 22, 25, 101, 111, 125, 10_000)]
    assert forms == {
        "ru": "1 строка|2 строки|5 строк|11 строк|12 строк|21 строка|22 строки|25 строк|101 строка|111 строк|125 строк"
        "|10\u00a0000 строк",
        "en": "1 row|2 rows|5 rows|11 rows|12 rows|21 rows|22 rows|25 rows|101 rows|111 rows|125 rows|10,000 rows",
    }[language].split("|")


def test_only_all_and_nothing_are_written_as_such(language):
    written = [percent(share) for share in (0, 0.00001, 0.5, 0.984, 0.9999, 1)]
    assert (
        written
        == {
            "ru": ["0\u00a0%", "0,1\u00a0%", "50,0\u00a0%", "98,4\u00a0%", "99,9\u00a0%", "100\u00a0%"],
            "en": ["0%", "0.1%", "50.0%", "98.4%", "99.9%", "100%"],
        }[language]
    )
    assert interval(None) == ""
    assert number(-1.5, 1) == {"ru": "−1,5", "en": "−1.5"}[language]


def test_a_damaged_line_is_named_and_no_page_is_written(full):
    with full.answers.open("ab") as file:
        file.write(b'{"set": "\xff\n')
    with pytest.raises(RunError) as error:
        write_report(full)
    assert (error.value.key, error.value.values["line"]) == ("run.damaged", len(full_answers()) + 1)
    assert not full.report.exists()


@pytest.mark.parametrize("content", ['{"sets": {\n', "[]", "\ufeff"])
def test_a_damaged_exam_is_named(full, content):
    write_text(full.exam, content)
    with pytest.raises(RunError) as error:
        write_report(full)
    assert error.value.values["file"] == full.exam


def test_a_page_that_cannot_be_written_names_its_file_and_leaves_the_run_alone(full):
    full.report.mkdir()  # something else is in its place
    with pytest.raises(OSError, match=r"report\.html"):
        write_report(full)
    assert json.loads(full.exam.read_text(encoding="utf-8")) == full_exam()
    assert sorted(path.name for path in full.path.iterdir() if path.name.startswith(".")) == []


def test_the_same_run_gives_the_same_page(full):
    write_report(full)
    first = full.report.read_bytes(), full.answers_table.read_bytes()
    write_report(full)
    assert (full.report.read_bytes(), full.answers_table.read_bytes()) == first


@pytest.mark.parametrize(("question", "script"), [("Что такое p-n-переход?", "ru"), ("What is a диод?", "en")])
def test_an_unnamed_language_is_the_table_s(bare, question, script, monkeypatch):
    write_lines(bare.rows, [{"row": 1, "question": question, "answer": "", "use": "trained"}])
    monkeypatch.setattr(messages, "_chosen", None)
    monkeypatch.setattr(messages, "_asked_by_environment", lambda: None)
    assert page_of(bare).all("html") == [{"lang": script}]


CHROME = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
SIZE = "<script>document.title = [document.scrollingElement.scrollWidth, innerWidth].join(' ')</script>"


@pytest.mark.browser
@pytest.mark.skipif(CHROME is None, reason="there is no Chromium here")
@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_shows_the_page_without_scrolling_sideways(full, tmp_path, width):
    """The page itself is drawn; its width is measured in a frame of a page of ours, which may have a script."""
    long = "Превысокомногорассмотрительствующий" * 4
    write_lines(full.answers, [*full_answers(), record(9, long, long, after=long + "x", exact={"after": False})])
    write_report(full)
    picture = tmp_path / f"{width}.png"
    browse(tmp_path, f"--window-size={width},2000", f"--screenshot={picture}", full.report.as_uri())
    assert picture.stat().st_size > 20_000
    measured = full.report.read_text(encoding="utf-8").replace("default-src 'none'", "script-src 'unsafe-inline'")
    write_text(full.path / "measured.html", measured.replace("</body>", SIZE + "</body>"))
    frame = f'<iframe src="{(full.path / "measured.html").as_uri()}" style="border:0;width:{width}px;height:2000px">'
    script = "<script>onload = () => document.title = frames[0].document.title</script>"
    write_text(tmp_path / "frame.html", f"<!DOCTYPE html><title>-</title>{frame}</iframe>{script}")
    shown = browse(tmp_path, "--allow-file-access-from-files", "--dump-dom", (tmp_path / "frame.html").as_uri())
    needed, given = map(int, re.search(r"<title>(\d+) (\d+)</title>", shown).groups())
    assert given == width
    assert needed <= given


def browse(folder, *arguments):
    quiet = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update"
    done = subprocess.run(
        [CHROME, "--headless", *quiet.split(), "--disable-sync", f"--user-data-dir={folder / 'profile'}", *arguments],
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout.decode("utf-8")
