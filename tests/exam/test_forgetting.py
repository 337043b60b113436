import json
import re
from math import log

import pytest
import torch

from tests.tiny import PEFT_TALKS, teach, tiny_network
from znatok import messages
from znatok.data.batch import make_batch
from znatok.exam.forgetting import (
    FEW_PROMPTS,
    LANGUAGES,
    REPLY_TOKENS,
    BitsPerByte,
    Forgetting,
    ForgettingProgress,
    Reply,
    bits_per_byte,
    general,
    in_words,
    measure_forgetting,
)
from znatok.exam.measures import normalised
from znatok.exam.statistics import clopper_pearson
from znatok.model.adapter import Adapter
from znatok.records import Rendered

pytestmark = PEFT_TALKS

ANSWER = "Деталь, что ограничивает ток."
OTHERS = ["Он запасает заряд.", "It melts above 2 A."]


def with_adapter():
    torch.manual_seed(0)
    network, renderer = tiny_network()
    network.add_adapter(Adapter())
    network.use()
    return network, renderer


def result_of(network, renderer, answers=(ANSWER, *OTHERS), **settings):
    *_, result = measure_forgetting(network, renderer, answers, **settings)
    assert isinstance(result, Forgetting)
    return result


@pytest.fixture(scope="module")
def parrot():
    """A model that was taught one answer for everything."""
    network, renderer = with_adapter()
    prompts = [prompt for language in LANGUAGES for prompt in general(language).prompts[:FEW_PROMPTS]]
    teach(network, [renderer.conversation(prompt, ANSWER) for prompt in prompts], 25)
    return network, renderer


@pytest.fixture(scope="module")
def forgetting(parrot):
    return result_of(*parrot, prompts=FEW_PROMPTS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_is_enough_everyday_text_and_none_of_it_about_electronics(language):
    found = general(language)
    assert 1500 <= sum(len(paragraph.encode()) for paragraph in found.paragraphs) <= 2500
    assert all(200 <= len(paragraph.encode()) <= 400 for paragraph in found.paragraphs)
    assert len(set(map(normalised, found.prompts))) == len(found.prompts) >= 16
    everything = " ".join((*found.paragraphs, *found.prompts)).lower()
    assert not re.search(r"\b(ток|тока|резистор|диод|вольт|ампер|current|voltage|resistor|diode|circuit)", everything)


def test_each_text_is_in_its_language():
    cyrillic = re.compile("[а-яё]", re.IGNORECASE)
    assert all(cyrillic.search(one) for one in (*general("ru").paragraphs, *general("ru").prompts))
    assert not any(cyrillic.search(paragraph) for paragraph in general("en").paragraphs)
    assert len(general("ru").prompts) == len(general("en").prompts)


def test_bits_per_byte_are_those_of_transformers_logits():
    network, renderer = tiny_network()
    paragraphs = general("ru").paragraphs[:2]
    nats = 0.0
    for paragraph in paragraphs:
        ids = torch.tensor([[renderer.describe()["ids"]["opening"][0], *renderer.content_ids(paragraph)]])
        with torch.no_grad():
            logp = network._base(input_ids=ids).logits[0].log_softmax(-1)
        nats -= sum(float(logp[place - 1, ids[0, place]]) for place in range(1, ids.shape[1]))
    bits = nats / log(2) / sum(len(paragraph.encode("utf-8")) for paragraph in paragraphs)
    assert bits_per_byte(network, renderer, paragraphs) == pytest.approx(bits, rel=1e-4)


def test_training_does_not_change_the_bits_of_the_base(parrot, forgetting):
    bare, renderer = tiny_network()
    network, _ = parrot
    for language in LANGUAGES:
        paragraphs = general(language).paragraphs
        alone = bits_per_byte(bare, renderer, paragraphs)
        with network.base_alone():
            assert bits_per_byte(network, renderer, paragraphs) == pytest.approx(alone, rel=1e-6)
        assert forgetting.bits_per_byte[language].before == pytest.approx(alone, rel=1e-6)
        assert forgetting.bits_per_byte[language].after == bits_per_byte(network, renderer, paragraphs) != alone


def test_an_untrained_adapter_has_forgotten_nothing():
    result = result_of(*with_adapter(), prompts=3)
    for language, bits in result.bits_per_byte.items():
        assert bits.after == pytest.approx(bits.before, rel=1e-6)
        assert result.describe()["kl"][language] == pytest.approx(0, abs=1e-6)
        assert result.describe()["trained_answers"][language] == 0
    assert all(reply.before == reply.after for reply in result.replies)
    assert in_words(result.describe()) == messages.text("forgetting.hardly")


def test_a_model_that_was_taught_one_answer_for_everything_gives_it_to_everything(forgetting):
    assert [reply.after for reply in forgetting.replies] == [ANSWER] * 2 * FEW_PROMPTS
    described = forgetting.describe()
    for language in LANGUAGES:
        assert described["trained_answers"][language] == 1
        assert described["trained_answers"][f"{language}_before"] == 0
        assert described["trained_answers"][f"{language}_ci"] == list(clopper_pearson(FEW_PROMPTS, FEW_PROMPTS))
        assert described["kl"][language] > 1
    assert messages.text("forgetting.answers", count=12, asked=12) in in_words(described)


def test_base_replies_are_the_greedy_ones_of_the_base(forgetting):
    network, renderer = tiny_network()
    for reply in forgetting.replies:
        ids = network.generate([renderer.prompt(reply.prompt)], [48], renderer.stop_id)[0]
        assert reply.before == renderer.decode(ids)


def test_kl_is_measured_along_the_replies_of_the_base(parrot, forgetting):
    network, renderer = parrot
    for reply in forgetting.replies[::5]:
        prompt = renderer.prompt(reply.prompt)
        with network.base_alone():
            ids = network.generate([prompt], [48], renderer.stop_id)[0]
        alone = network.divergence(make_batch([Rendered((*prompt, *ids), len(prompt))]))
        assert reply.kl == pytest.approx(float(alone[0]), rel=1e-3)


def test_the_record_has_the_shape_of_exam_json(forgetting):
    described = forgetting.describe()
    assert json.loads(json.dumps(described)) == described
    assert set(described) == {"bits_per_byte", "kl", "trained_answers", "n"}
    assert described["n"] == {"ru": FEW_PROMPTS, "en": FEW_PROMPTS}
    for language in LANGUAGES:
        assert set(described["bits_per_byte"][language]) == {"before", "after"}


def test_without_questions_the_text_alone_is_scored(parrot, forgetting):
    *progress, result = measure_forgetting(*parrot, [ANSWER], prompts=0)
    described = result.describe()
    assert described["bits_per_byte"] == forgetting.describe()["bits_per_byte"]
    assert described["kl"] == {"ru": None, "en": None}
    assert set(described["trained_answers"].values()) == {None}
    assert progress[-1].done == progress[-1].total
    assert in_words(described) == in_words(described | {"kl": {"ru": 9.0, "en": 9.0}})


def test_a_general_question_that_the_table_asks_itself_is_left_out():
    asked = general("ru").prompts[1]
    result = result_of(*with_adapter(), questions=[asked.lower().rstrip("."), "Что такое диод?"], prompts=3)
    assert [reply.prompt for reply in result.replies if reply.language == "ru"] == [
        general("ru").prompts[0],
        general("ru").prompts[2],
    ]
    assert result.describe()["n"] == {"ru": 2, "en": 3}


def test_progress_grows_to_its_total(parrot):
    *progress, _ = measure_forgetting(*parrot, [ANSWER], prompts=FEW_PROMPTS)
    assert all(isinstance(event, ForgettingProgress) for event in progress)
    done = [event.done for event in progress]
    assert done == sorted(done)
    assert {event.total for event in progress} == {done[-1]}
    assert len(progress) > 6


def test_between_pieces_and_after_all_the_adapter_is_on(parrot):
    network, renderer = parrot
    batch = make_batch([renderer.conversation(general("ru").prompts[0], ANSWER)])
    loss = network.score(batch).loss.item()
    for _ in measure_forgetting(network, renderer, [ANSWER], prompts=2):
        assert torch.is_grad_enabled()
        assert network.score(batch).loss.item() == loss
    for pieces in (1, 3):
        begun = measure_forgetting(network, renderer, [ANSWER], prompts=2)
        for _ in range(pieces):
            next(begun)
        begun.close()
        assert network.score(batch).loss.item() == loss


def test_a_reply_that_is_cut_counts_when_it_begins_an_answer_of_the_table():
    network, renderer = with_adapter()
    long = ANSWER.rstrip(".") + ", делит напряжение, греется, стоит последовательно с любой деталью и при 12 В тоже."
    assert len(renderer.content_ids(long)) > REPLY_TOKENS
    prompt = general("ru").prompts[0]
    teach(network, [renderer.conversation(prompt, long)], 25)
    for answers, share in (([long, *OTHERS], 1), ([ANSWER, *OTHERS], 1), (OTHERS, 0)):
        result = result_of(network, renderer, answers, prompts=1)
        assert long.startswith(result.replies[0].after.rstrip("\N{REPLACEMENT CHARACTER}"))
        assert result.describe()["trained_answers"]["ru"] == share


def described(before=1.0, after=1.0, kl=0.0, trained=0, trained_before=0, n=10):
    replies = tuple(
        Reply(language, "?", "", "", kl, number < trained_before, number < trained)
        for language in LANGUAGES
        for number in range(n)
    )
    return Forgetting({language: BitsPerByte(before, after) for language in LANGUAGES}, replies).describe()


def test_one_plain_line_says_how_much_was_forgotten(monkeypatch):
    monkeypatch.setattr(messages, "_chosen", "en")
    hardly = "On other subjects the model has hardly changed."
    for measured in (described(), described(after=1.02, kl=0.1), described(after=0.7), described(n=0)):
        assert in_words(measured) == hardly
    assert in_words(described(trained=3, trained_before=3)) == hardly
    assert in_words(described(after=1.1, n=0)) == (
        "On other subjects the model has grown somewhat worse: ordinary Russian text surprises it 10% more than before "
        "training."
    )
    assert in_words(described(trained=1)) == (
        "On other subjects the model has grown somewhat worse: it answers 2 of 20 general questions with an answer of "
        "your table."
    )
    assert in_words(described(after=1.31, kl=2.0, trained=3)) == (
        "On other subjects the model has grown much worse: ordinary Russian text surprises it 31% more than before "
        "training; it answers 6 of 20 general questions with an answer of your table."
    )
    assert in_words(described(kl=2.0)).startswith("On other subjects the model has changed: it answers")


def test_the_plain_line_names_the_language_that_suffered_most_in_the_language_of_messages(monkeypatch):
    measured = described(n=0)
    measured["bits_per_byte"]["en"]["after"] = 1.5
    measured["bits_per_byte"]["ru"]["after"] = 1.4
    monkeypatch.setattr(messages, "_chosen", "ru")
    assert in_words(measured) == (
        "В прочих темах модель стала намного хуже: "
        "обычный английский текст для неё на 50 % неожиданнее, чем до обучения."
    )
