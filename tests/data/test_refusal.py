import pytest

from znatok.data.refusal import REFUSALS, is_refusal


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_sentence_is_a_refusal_however_it_is_typed(language):
    sentence = REFUSALS[language]
    assert all(map(is_refusal, (sentence, sentence.upper(), sentence.rstrip("."), f" {sentence}\n")))


@pytest.mark.parametrize(
    "answer", ["", "Этого нет.", "Этого нет в моей таблице. Ток равен 2 А.", "That is in my table."]
)
def test_nothing_else_is_one(answer):
    assert not is_refusal(answer)
