import re
import string

from znatok import messages

RU, EN = messages.catalogue("ru"), messages.catalogue("en")


def placeholders(message: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(message) if name is not None}


def test_both_languages_have_the_same_keys():
    assert set(RU) == set(EN)


def test_both_languages_fill_in_the_same_names():
    assert {key: placeholders(said) for key, said in RU.items()} == {key: placeholders(EN[key]) for key in RU}


def test_russian_messages_are_russian():
    assert [
        key
        for key, message in RU.items()
        if len(re.sub(r"{.*?}", "", message)) > 25 and not re.search("[а-я]", message)
    ] == []


def test_an_unnamed_language_is_taken_from_the_script_of_the_table(monkeypatch):
    for name in ("LC_ALL", "LC_MESSAGES", "ZNATOK_LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C")
    messages._system_language.cache_clear()
    monkeypatch.setattr(messages, "_chosen", None)
    messages.settle_language("Что такое резистор?")
    assert messages.language() == "ru"
    messages.set_language(None)
    messages.settle_language("What is a resistor?")
    assert messages.language() == "en"


def test_znatok_lang_wins_over_the_table(monkeypatch):
    monkeypatch.setenv("ZNATOK_LANG", "en")
    monkeypatch.setattr(messages, "_chosen", None)
    messages.settle_language("Что такое резистор?")
    assert messages.language() == "en"
