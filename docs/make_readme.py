"""Fills the measured parts of README.md and README.ru.md from finished runs, and copies the training graph.

    python -m docs.make_readme runs/dataset [runs/dataset-2]     (a run of `learn`, one of `classic`)

What stands between `<!-- begin: NAME -->` and `<!-- end -->` is written by this script, never by hand.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from znatok.run_folder import RunFolder, write_text
from znatok.settings import make_settings
from znatok.use.chat import answer
from znatok.use.loading import load_run

ROOT = Path(__file__).parent.parent
ASKED = ("Что такое резистор?", "что такое оптопара?")
COMPARED = """
r lora_alpha lora_dropout target_modules bias quantization dtype optim learning_rate lr_scheduler_type warmup_steps
num_train_epochs finishing_rounds per_device_train_batch_size gradient_accumulation_steps rewording scope replay
logging_steps save_total_limit test_size load_best_model_at_end
""".split()
WORDS = {
    "en": {
        "set": {
            "trained": "as in the table",
            "reworded": "in other words (frames never trained)",
            "questions": "in people's own words",
            "heldout": "facts never taught",
            "unknown_near": "near to the table, but not in it",
            "unknown_far": "on other subjects",
        },
        "confidently_wrong": "given a row's answer (wrong)",
        "search": "search",
        "exact": "answer to the letter",
        "passed": "answer right",
        "stopped": "stopped by itself",
        "questions": "questions",
        "measure": "measure",
        "base": "base",
        "cost": "training and exam | time, peak memory",
        "setting": "| setting | `learn` | `classic` |",
        "policies": {
            "grounded": "answer right, a row word for word where the weights are unsure",
            "auto": "declined by `znatok chat`, which then names three rows",
            "unknown": "given a row's answer by `znatok chat`",
        },
        "by_plan": {
            "learning_rate": "by the model's width: {learning_rate:g}",
            "num_train_epochs": "16, where there is time up to 64",
            "replay": "0.1 where there is time, under `open`",
        },
        "auto": "chosen for the machine",
        "scope_auto": "by how well the base reads the language",
        "of": "of",
        "gb": "GB",
        "min": "min",
    },
    "ru": {
        "set": {
            "trained": "как в таблице",
            "reworded": "другими словами (таких не было в обучении)",
            "questions": "словами людей",
            "heldout": "факты, которым не учили",
            "unknown_near": "рядом с таблицей, но не из неё",
            "unknown_far": "о другом",
        },
        "confidently_wrong": "выдан ответ строки (неверно)",
        "search": "поиск",
        "exact": "ответ до буквы",
        "passed": "ответ верен",
        "stopped": "остановилась сама",
        "questions": "вопросы",
        "measure": "мера",
        "base": "база",
        "cost": "обучение и экзамен | время, память",
        "setting": "| настройка | `learn` | `classic` |",
        "policies": {
            "grounded": "ответ верен, дословная строка там, где веса не уверены",
            "auto": "`znatok chat` не ответил и назвал три строки",
            "unknown": "`znatok chat` выдал ответ строки",
        },
        "by_plan": {
            "learning_rate": "по ширине модели: {learning_rate:g}",
            "num_train_epochs": "16, где есть время, до 64",
            "replay": "0.1, где есть время, при `open`",
        },
        "auto": "по машине",
        "scope_auto": "по тому, как база читает язык",
        "of": "из",
        "gb": "ГБ",
        "min": "мин",
    },
}


def main() -> None:
    learn, classic, *_ = [*(RunFolder(Path(argument)) for argument in sys.argv[1:]), None, None]
    assert learn is not None
    shutil.copy(learn.graph, ROOT / "docs" / "train_graph.png")
    dialogue = _dialogue(learn)
    for language, name in (("en", "README.md"), ("ru", "README.ru.md")):
        path = ROOT / name
        page = path.read_text(encoding="utf-8")
        page = _filled(page, "results", _results(learn, classic, WORDS[language]))
        page = _filled(page, "settings", _settings(learn, WORDS[language]))
        page = _filled(page, "dialogue", dialogue)
        write_text(path, page)


def _filled(page: str, name: str, text: str) -> str:
    pattern = rf"(<!-- begin: {name} -->\n).*?(<!-- end -->)"
    filled, count = re.subn(pattern, lambda found: f"{found[1]}{text}\n{found[2]}", page, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"the place {name} is there {count} times")
    return filled


def _exam(run: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.exam.read_text(encoding="utf-8"))
    return found


def _results(learn: RunFolder, classic: RunFolder | None, words: dict[str, Any]) -> str:
    runs = {"classic": classic, "learn": learn} if classic else {"learn": learn}
    exams = {preset: _exam(run) for preset, run in runs.items()}
    columns = [words["questions"], words["measure"], words["base"], *(f"`{name}`" for name in exams), words["search"]]
    lines = [f"| {' | '.join(columns)} |", "|---|---|" + "---|" * (len(exams) + 2)]
    for name, label in words["set"].items():
        # The base knows nothing of either recipe; its answers to facts that only `classic` keeps out are in that run.
        having = [exam["sets"][name] for exam in reversed(exams.values()) if name in exam["sets"]]
        if not having:
            continue
        measures = ("confidently_wrong",) if name.startswith("unknown") else ("exact", "passed", "stopped")
        for measure in measures:
            after = [exam["sets"].get(name, {}).get("after") for exam in exams.values()]
            search = having[0].get("search") if measure == "passed" else None
            cells = [_cell(scores, measure, words) for scores in (having[0].get("before"), *after, search)]
            lines.append(f"| {label} | {words[measure]} | {' | '.join(cells)} |")
        for policy, measure, told in _asked_of_rows(name):
            cells = [_cell(exam["sets"].get(name, {}).get(policy), measure, words) for exam in exams.values()]
            lines.append(f"| {label} | {words['policies'][told]} | — | {' | '.join(cells)} | — |")
    costs = [
        "{:.0f} {}, {:.1f} {}".format(
            exam["summary"]["total_seconds"] / 60, words["min"], exam["summary"]["peak_memory_bytes"] / 1e9, words["gb"]
        )
        for exam in exams.values()
    ]
    return "\n".join([*lines, f"| {words['cost']} | | {' | '.join(costs)} | |"])


def _asked_of_rows(name: str) -> tuple[tuple[str, str, str], ...]:
    """Policy, measure and words of what is shown of a set beside the weights alone."""
    if name.startswith("unknown"):
        return (("auto", "confidently_wrong", "unknown"),)
    return (("grounded", "passed", "grounded"), ("auto", "declined", "auto")) if name == "questions" else ()


def _cell(scores: dict[str, Any] | None, measure: str, words: dict[str, Any]) -> str:
    if scores is None or scores.get(measure) is None:
        return "—"
    n = scores["n"] if measure == "exact" else scores["n_generated"]
    return f"{scores[measure]:.1%} ({round(scores[measure] * n)} {words['of']} {n})"


def _settings(learn: RunFolder, words: dict[str, Any]) -> str:
    presets = [make_settings({"preset": preset}).model_dump(mode="json") for preset in ("learn", "classic")]
    plan = json.loads(learn.plan.read_text(encoding="utf-8"))
    lines = [words["setting"], "|---|---|---|"]
    for name in COMPARED:
        cells = [_value(name, preset[name], plan, words) for preset in presets]
        lines.append(f"| `{name}` | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def _value(name: str, value: Any, plan: dict[str, Any], words: dict[str, Any]) -> str:
    if value is None:
        return str(words["by_plan"][name].format_map(plan))
    if value == "auto":
        return str(words["scope_auto" if name == "scope" else "auto"])
    return ", ".join(value) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else str(value)


def _dialogue(learn: RunFolder) -> str:
    """Both questions to the base and to the tuned model, as `chat.py` shows them."""
    talker = load_run(learn)
    lines = ["```text"]
    for use_adapter, command in ((False, "python chat.py"), (True, "python chat.py --use_lora")):
        lines.append(f"$ {command}")
        for question in ASKED:
            said = " ".join("".join(answer(talker, question, [], use_adapter=use_adapter)).split())
            lines += [f"Вы: {question}", f"Модель: {said[:240]}{'…' if len(said) > 240 else ''}"]
        lines.append("")
    return "\n".join([*lines[:-1], "```"])


if __name__ == "__main__":
    main()
