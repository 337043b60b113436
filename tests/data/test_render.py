"""Conversations as token ids, for the chat templates of six families and two kinds of tokenizer."""

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from znatok import messages
from znatok.data.render import Renderer, load_renderer, read_template
from znatok.errors import ModelError

TEMPLATES = Path(__file__).parent / "templates"
LLAMA_3 = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|box_start|>")
# name: tokens of the template, special tokens, markup that is added but not special
FAMILIES = {
    "smollm2": ({}, ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>"), ()),
    "tinyllama": ({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}, ("<unk>", "<s>", "</s>"), ()),
    "llama3": ({"bos_token": LLAMA_3[0], "eos_token": "<|eot_id|>"}, LLAMA_3, ()),
    "llama3.2": ({"bos_token": LLAMA_3[0], "eos_token": "<|eot_id|>"}, LLAMA_3, ()),
    "qwen2.5": ({"eos_token": "<|im_end|>"}, QWEN, ("<tool_call>", "</tool_call>")),
    "qwen3": ({"eos_token": "<|im_end|>"}, QWEN, ("<tool_call>", "</tool_call>", "<think>", "</think>")),
}
FAMILY = pytest.mark.parametrize("family", FAMILIES)
KIND = pytest.mark.parametrize("family", ["qwen3", "tinyllama"])  # byte-level and SentencePiece
SAMPLE = """Что такое резистор? Резистор — это элемент с сопротивлением 5 Ω, «делит» напряжение и ограничивает ток.
What is a resistor? user assistant system <|user|> <|assistant|> [INST] [/INST] im_end im_start think 0123456789"""
HISTORY = [("Что такое диод?", "Клапан для тока."), ("А стабилитрон?", "Диод,\nкоторый держит 5 В.")]
TURN = ("Что такое резистор?", "Резистор — это «5 Ω».")


@cache
def byte_level(special, markup, words=()):
    """As GPT-2, Llama 3 and Qwen have it; added tokens stand behind the vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([SAMPLE], trainer)
    tokenizer.add_special_tokens(list(special))
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in (*markup, *words)])
    return tokenizer.to_str()


@cache
def sentencepiece(metaspace=False):
    """As TinyLlama's tokenizer.json has it (or, `metaspace`, as newer conversions do): no letter is unknown."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trainer = trainers.BpeTrainer(vocab_size=250, show_progress=False)
    trained.train_from_iterator([line + " " for line in SAMPLE.splitlines()], trainer)
    learned = json.loads(trained.to_str())["model"]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *learned["vocab"]]
    vocabulary = {piece: id for id, piece in enumerate(pieces)}
    merges = [tuple(merge) for merge in learned["merges"]]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    space = decoders.Replace("▁", " ")
    strip = decoders.Strip(" ", 1, 0)
    tokenizer.decoder = decoders.Sequence([space, decoders.ByteFallback(), decoders.Fuse(), strip])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tokenizer.to_str()


def tokenizer_of(family):
    _, special, markup = FAMILIES[family]
    return sentencepiece() if family == "tinyllama" else byte_level(special, markup)


def source(family):
    return (TEMPLATES / f"{family}.jinja").read_text(encoding="utf-8")


@cache
def renderer_of(family):
    tokens, special, _ = FAMILIES[family]
    return Renderer(tokenizer_of(family), read_template(source(family), tokens, special))


def shown(family, rendered):
    return "".join(renderer_of(family).token_texts(rendered))


def by_jinja(family, turns, asking=False):
    """The whole conversation as the template itself renders it, with an empty system part where it invents one."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    conversation = [{"role": "system", "content": ""}] if family in ("smollm2", "llama3.2", "qwen2.5") else []
    for question, answer in turns:
        conversation += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return environment.from_string(source(family)).render(
        messages=conversation[:-1] if asking else conversation,
        add_generation_prompt=asking,
        enable_thinking=False,
        tools=None,
        date_string="26 Jul 2024",
        **FAMILIES[family][0],
    )


# What each family's conversation looks like


def test_tinyllama_renders_to_the_letter():
    rendered = renderer_of("tinyllama").conversation("Что это?", "Диод, 5 Ω.")
    assert shown("tinyllama", rendered) == "<|user|>\nЧто это?</s>\n<|assistant|>\nДиод, 5 Ω.</s>"
    texts = renderer_of("tinyllama").token_texts(rendered)
    assert "".join(texts[rendered.answer_start :]) == "Диод, 5 Ω.</s>"


def test_tinyllama_has_the_ids_of_the_whole_text():
    whole = Tokenizer.from_str(sentencepiece()).encode("<|user|>\nЧто это?</s>\n<|assistant|>\nДиод, 5 Ω.</s>")
    assert list(renderer_of("tinyllama").conversation("Что это?", "Диод, 5 Ω.").ids) == whole.ids


def test_smollm2_has_an_empty_system_part_and_no_trace_of_the_default_prompt():
    assert shown("smollm2", renderer_of("smollm2").conversation("Что это?", "Диод.")) == (
        "<|im_start|>system\n<|im_end|>\n<|im_start|>user\nЧто это?<|im_end|>\n<|im_start|>assistant\nДиод.<|im_end|>"
    )
    assert "SmolLM" not in repr(renderer_of("smollm2").template)


def test_llama_3_has_no_system_part():
    assert shown("llama3", renderer_of("llama3").conversation("Что это?", "Диод.")) == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nЧто это?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nДиод.<|eot_id|>"
    )


def test_the_date_of_llama_3_2_is_the_same_whatever_today_is():
    assert shown("llama3.2", renderer_of("llama3.2").conversation("Что это?", "Диод.")) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nЧто это?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nДиод.<|eot_id|>"
    )


@pytest.mark.parametrize("asked", ["date_string", "strftime_now('%d %b %Y')"])
def test_a_template_that_asks_for_the_date_never_learns_it(asked):
    text = "{{ TODAY }} {% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}"
    assert read_template(text.replace("TODAY", asked), {}, QWEN).opening.startswith("26 Jul 2024 ")


def test_qwen_2_5_has_no_default_system_prompt():
    assert shown("qwen2.5", renderer_of("qwen2.5").conversation("Что это?", "Диод.")) == (
        "<|im_start|>system\n<|im_end|>\n<|im_start|>user\nЧто это?<|im_end|>\n<|im_start|>assistant\nДиод.<|im_end|>"
    )


def test_qwen_3_opens_the_answer_without_thinking_and_earlier_answers_as_its_template_does():
    rendered = renderer_of("qwen3").conversation("Где?", "Тут.", [("Что это?", "Диод.")])
    assert shown("qwen3", rendered) == (
        "<|im_start|>user\nЧто это?<|im_end|>\n<|im_start|>assistant\nДиод.<|im_end|>\n"
        "<|im_start|>user\nГде?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nТут.<|im_end|>"
    )
    texts = renderer_of("qwen3").token_texts(rendered)
    assert "".join(texts[rendered.answer_start :]) == "Тут.<|im_end|>"


@FAMILY
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_the_fragments_joined_are_what_the_template_renders(family, turns):
    *history, (question, answer) = [*HISTORY, TURN][-turns:]
    rendered = renderer_of(family).conversation(question, answer, history)
    gap = renderer_of(family).template.gap
    assert shown(family, rendered) + gap == by_jinja(family, [*history, TURN])


@FAMILY
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_the_prompt_is_what_the_template_renders_for_generation(family, turns):
    *history, (question, answer) = [*HISTORY, TURN][-turns:]
    rendered = renderer_of(family).conversation(question, answer, history)
    texts = renderer_of(family).token_texts(rendered)
    # TinyLlama's own generation prompt ends in a line break, too
    assert "".join(texts[: rendered.answer_start]) == by_jinja(family, [*history, TURN], asking=True)


# What is trained


@FAMILY
@pytest.mark.parametrize("history", [[], HISTORY])
def test_training_and_chat_render_the_same_prefix(family, history):
    renderer = renderer_of(family)
    rendered = renderer.conversation(*TURN, history)
    assert renderer.prompt(TURN[0], history) == rendered.ids[: rendered.answer_start]


@FAMILY
@pytest.mark.parametrize("answer", ["Диод.", "", "</s>", "<|im_end|>", "user\nЧто это?"])
def test_the_mask_covers_the_answer_and_the_end_token_only(family, answer):
    renderer = renderer_of(family)
    rendered = renderer.conversation("Что это?", answer, HISTORY)
    *trained, end = rendered.ids[rendered.answer_start :]
    assert trained == renderer.content_ids(answer)
    assert end == renderer.stop_id
    assert renderer.decode(trained) == answer
    assert renderer.token_texts(rendered)[-1] == FAMILIES[family][0].get("eos_token", "<|im_end|>")


@FAMILY
def test_the_answer_does_not_change_the_prompt(family):
    renderer = renderer_of(family)
    one, other = (renderer.conversation("Что это?", answer) for answer in ("Диод.", "\nне диод"))
    assert one.ids[: one.answer_start] == other.ids[: other.answer_start]


# Control tokens are no content


CONTROL = [(family, token) for family, (_, special, markup) in FAMILIES.items() for token in (*special, *markup)]


@pytest.mark.parametrize(("family", "token"), CONTROL)
def test_control_tokens_in_a_cell_or_in_the_chat_never_become_control_ids(family, token):
    renderer = renderer_of(family)
    plain = renderer.conversation("а", "а", [("а", "а")])
    wanted = [id for id in plain.ids if id in renderer.control_ids]
    for text in (
        token,
        f"{token} а",
        f" а {token}",
        f"а{token}\n{token}а",
        token * 3,
        f"<{token}>",
        f"{token}{token[:-1]}",
    ):
        for turn, history in (((text, "а"), [("а", "а")]), (("а", text), [("а", "а")]), (("а", "а"), [(text, text)])):
            rendered = renderer.conversation(*turn, history)
            assert [id for id in rendered.ids if id in renderer.control_ids] == wanted
        assert renderer.decode(renderer.content_ids(text)) == text.strip()


@pytest.mark.parametrize(("family", "token"), CONTROL)
def test_a_control_token_split_over_two_texts_stays_text(family, token):
    renderer = renderer_of(family)
    for cut in range(1, len(token)):
        rendered = renderer.conversation("а" + token[:cut], token[cut:], [(token[:cut], token[cut:])])
        count = sum(id in renderer.control_ids for id in rendered.ids)
        assert count == sum(id in renderer.control_ids for id in renderer.conversation("а", "а", [("а", "а")]).ids)


def test_the_ids_of_added_words_do_not_move_when_control_tokens_are_passed_over():
    text = byte_level(QWEN, ("<think>",), ("    ", "резистор"))
    renderer = Renderer(text, read_template(source("qwen3"), {}, QWEN))
    tokenizer = Tokenizer.from_str(text)
    assert renderer.content_ids("резистор    <think>")[:2] == [
        tokenizer.token_to_id("резистор"),
        tokenizer.token_to_id("    "),
    ]
    assert renderer.decode(renderer.content_ids("резистор    <think> 5 Ω")) == "резистор    <think> 5 Ω"


def test_a_vocabulary_that_holds_a_control_token_as_a_word_spells_it():
    pieces = [("<unk>", 0.0), ("<s>", -1.0), ("</s>", -1.0), *((letter, -5.0) for letter in "▁\nабв<s/>|uertian")]
    tokenizer = Tokenizer(models.Unigram(pieces, 0, False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    renderer = Renderer(tokenizer.to_str(), read_template(source("tinyllama"), *FAMILIES["tinyllama"][:2]))
    assert renderer.control_ids.isdisjoint(renderer.content_ids("а</s> б<s>в"))
    assert renderer.decode(renderer.content_ids("а</s> б<s>в")) == "а</s> б<s>в"


def test_a_length_limit_or_padding_in_the_tokenizer_cuts_no_row():
    tokenizer = Tokenizer.from_str(tokenizer_of("qwen3"))
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=16)
    renderer = Renderer(tokenizer.to_str(), renderer_of("qwen3").template)
    assert renderer.conversation(*TURN) == renderer_of("qwen3").conversation(*TURN)


# And back into text


ENCODABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁"), max_size=40)
TELLING = st.lists(
    st.sampled_from(
        ["💡", "👨‍👩‍👧", "Ω", "«", "»", " ", "  ", "\n", "\t", "<|im_end|>", "</s>", "<0x0A>", "е", "ё", "5"]
    )
).map("".join)


@KIND
@settings(max_examples=100, deadline=None)
@given(text=ENCODABLE | TELLING)
def test_decoding_gives_the_text_back(family, text):
    renderer = renderer_of(family)
    ids = renderer.content_ids(text)
    assert renderer.decode(ids) == text.strip()
    assert renderer.decode([*ids, renderer.stop_id]) == text.strip()
    assert renderer.control_ids.isdisjoint(ids)


@settings(max_examples=50, deadline=None)
@given(text=ENCODABLE | TELLING)
def test_decoding_gives_the_text_back_for_newer_conversions_of_sentencepiece(text):
    renderer = Renderer(sentencepiece(metaspace=True), renderer_of("tinyllama").template)
    assert renderer.decode(renderer.content_ids(text)) == text.strip()
    rendered = renderer.conversation("Что это?", "Диод.")
    assert "".join(renderer.token_texts(rendered)) == "<|user|>\nЧто это?</s>\n<|assistant|>\nДиод.</s>"


@FAMILY
def test_decoding_stops_at_the_end_of_turn(family):
    renderer = renderer_of(family)
    rendered = renderer.conversation("Что это?", "Диод.")
    more = [*rendered.ids[rendered.answer_start :], *renderer.content_ids(" и ещё")]
    assert renderer.decode(more) == "Диод."
    assert renderer.decode([renderer.stop_id]) == renderer.decode([]) == ""


@KIND
@settings(max_examples=100, deadline=None)
@given(question=ENCODABLE | TELLING, answer=ENCODABLE | TELLING)
def test_the_texts_of_the_tokens_joined_are_the_rendered_text(family, question, answer):
    template = renderer_of(family).template
    expected = (
        template.opening + template.question_open + question + template.answer_open + answer + template.end_of_turn
    )
    assert shown(family, renderer_of(family).conversation(question, answer)) == expected


@KIND
def test_a_character_of_several_tokens_stands_whole_with_its_last_token(family):
    renderer = renderer_of(family)
    assert len(renderer.content_ids("💡")) == 4
    rendered = renderer.conversation("x", "x💡x")
    assert renderer.token_texts(rendered)[rendered.answer_start : -1] == ["x", "", "", "", "💡", "x"]


@FAMILY
def test_the_description_holds_the_fragments_and_their_ids(family):
    renderer = renderer_of(family)
    described = json.loads(json.dumps(renderer.describe()))
    ids = described.pop("ids")
    assert described == {name: getattr(renderer.template, name) for name in described}
    rebuilt = [*ids["opening"], *renderer.content_ids("а"), *ids["past_answer_open"], *renderer.content_ids("б")]
    rebuilt += [*ids["between"], *renderer.content_ids("в"), *ids["answer_open"], *renderer.content_ids("г")]
    assert (*rebuilt, *ids["end_of_turn"]) == renderer.conversation("в", "г", [("а", "б")]).ids
    assert ids["end_of_turn"] == [renderer.stop_id]


# Templates with a will of their own, and broken ones


ALTERNATING = """{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"""
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    + ALTERNATING
    + "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' + m['content'] | trim"
    + " + '<end_of_turn>\n' }}{% endfor %}"
)
MISTRAL = (
    "{{ bos_token }}"
    + ALTERNATING
    + "{{ '[INST] ' + m['content'] + ' [/INST]' if m['role'] == 'user' else m['content'] + eos_token }}{% endfor %}"
)
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
BOS = {"bos_token": "<s>", "eos_token": "</s>"}


def test_a_template_that_refuses_a_system_part_and_demands_alternation_works():
    template = read_template(GEMMA, BOS, ("<s>", "<start_of_turn>", "<end_of_turn>"))
    assert (template.opening, template.question_open) == ("<s>", "<start_of_turn>user\n")
    assert template.answer_open == "<end_of_turn>\n<start_of_turn>model\n"
    assert (template.end_of_turn, template.gap) == ("<end_of_turn>", "\n")


def test_role_marks_in_plain_text_stay_inside_the_line_for_sentencepiece():
    template = read_template(MISTRAL, BOS, ("<s>", "</s>"))
    assert (template.opening, template.question_open, template.answer_open) == ("<s>", "[INST] ", " [/INST]")
    renderer = Renderer(sentencepiece(), template)
    rendered = renderer.conversation("Где?", "Тут.", [("Что?", "Диод.")])
    text = "<s>[INST] Что? [/INST]Диод.</s>[INST] Где? [/INST]Тут.</s>"
    assert "".join(renderer.token_texts(rendered)) == text
    assert Tokenizer.from_str(sentencepiece()).decode(list(rendered.ids), skip_special_tokens=False) == text.replace(
        "<s>[", "<s> ["
    ).replace("</s>[", "</s> [")


def test_a_template_that_invents_a_system_part_but_refuses_one_keeps_its_own():
    text = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}Be kind.<|im_end|>" + CHATML
    assert read_template(text, {}, QWEN).opening == "Be kind.<|im_end|>"


def test_a_template_that_demands_a_system_part_gets_an_empty_one():
    text = "{% if messages[0].role != 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHATML
    assert read_template(text, {}, QWEN).opening == "<|im_start|>system\n<|im_end|>\n"


def test_a_template_that_always_opens_an_answer_at_its_end_works():
    text = (
        source("llama3").split("{% if add_generation_prompt %}")[0]
        + "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    renderer = Renderer(tokenizer_of("llama3"), read_template(text, FAMILIES["llama3"][0], LLAMA_3))
    assert renderer.conversation(*TURN, HISTORY) == renderer_of("llama3").conversation(*TURN, HISTORY)


@pytest.mark.parametrize(
    "text",
    [
        "{% for m in messages %}{% if m.role == 'tool' %}{% continue %}{% endif %}<|im_start|>{{ m.role }}\n"
        "{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}\n\n{% endfor %}",
        "{% if tools is not none %}{{ tools[0].name }}{% endif %}"
        "{% if documents is not none %}{{ documents | tojson(indent=2) }}{% endif %}" + CHATML,
    ],
)
def test_what_transformers_gives_to_templates_is_given(text):
    assert read_template(text, {}, QWEN) == read_template(CHATML, {}, QWEN)


BROKEN = {
    "a tag is not closed": (
        "a\n{% for m in messages %}{{ m.content }}",
        (
            "template_broken",
            "line 2: Unexpected end of template. Jinja was looking for the following tags: 'endfor' or "
            "'else'. The innermost block that needs to be closed is 'for'",
        ),
    ),
    "it refuses": ("{{ raise_exception('Only tools.') }}", ("template_broken", "Only tools")),
    "it asks for what is not there": (
        "{{ messages[0].content.x.y }}",
        ("template_broken", "'str object' has no attribute 'x'"),
    ),
    "it divides by zero": ("{{ 1 / 0 }}", ("template_broken", "division by zero")),
    "it drops answers": (
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}</s>{% endif %}{% endfor %}",
        ("turns_differ",),
    ),
    "it turns the order": ("{% for m in messages | reverse %}{{ m.content }}</s>{% endfor %}", ("turns_differ",)),
    "it counts the turns": (
        "{% for m in messages %}{{ loop.index }}{{ m.content }}</s>{% endfor %}",
        ("turns_differ",),
    ),
    "only the last answer ends": ("{% for m in messages %}{{ m.content }}\n{% endfor %}</s>", ("turns_differ",)),
    "nothing ends an answer": (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
        ("no_end_of_turn",),
    ),
    "it says nothing": ("", ("turns_differ",)),
}
TEXTS = {
    "template_broken": (
        "The chat template of this base model does not work: {}. Take another version of the model, or name another "
        "base model with --model.",
        "Шаблон беседы этой базовой модели не работает: {}. Возьмите другую версию модели или укажите другую базовую "
        "модель в --model.",
    ),
    "turns_differ": (
        "The chat template of this base model loses questions or answers, or frames them differently from turn to "
        "turn, so it cannot be trained with. Take another version of the model, or name another base model with "
        "--model.",
        "Шаблон беседы этой базовой модели теряет вопросы или ответы или оформляет их в каждой реплике по-разному, "
        "поэтому учить по нему нельзя. Возьмите другую версию модели или укажите другую базовую модель в --model.",
    ),
    "no_end_of_turn": (
        "In the chat template of this base model no end-of-turn token follows an answer, so the trained model could "
        "not learn to stop. Take the model's chat version (its name usually holds Instruct or Chat), or name another "
        "base model with --model.",
        "В шаблоне беседы этой базовой модели за ответом нет токена конца реплики, поэтому обученная модель не умела "
        "бы останавливаться. Возьмите версию модели для беседы (в её имени обычно есть Instruct или Chat) или укажите "
        "другую базовую модель в --model.",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_template_is_explained(fault, monkeypatch):
    text, (key, *reason) = BROKEN[fault]
    with pytest.raises(ModelError) as caught:
        read_template(text, BOS, ("<s>", "</s>"))
    for language, expected in zip(("en", "ru"), TEXTS[key], strict=True):
        monkeypatch.setattr(messages, "_chosen", language)
        assert str(caught.value) == expected.format(*reason)


# From a folder


def test_a_renderer_is_loaded_from_a_models_folder(tmp_path):
    (tmp_path / "tokenizer.json").write_text(sentencepiece(), encoding="utf-8")
    config = {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": source("tinyllama")}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    loaded = load_renderer(tmp_path, tmp_path / "tokenizer.json")
    assert loaded.conversation(*TURN) == renderer_of("tinyllama").conversation(*TURN)
    (tmp_path / "chat_template.jinja").write_text(MISTRAL, encoding="utf-8")
    assert load_renderer(tmp_path, tmp_path / "tokenizer.json").template == read_template(MISTRAL, BOS, ("<s>", "</s>"))


def test_a_folder_without_a_chat_template_is_refused(tmp_path, monkeypatch):
    (tmp_path / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        load_renderer(tmp_path, tmp_path / "tokenizer.json")
    monkeypatch.setattr(messages, "_chosen", "en")
    assert str(caught.value).startswith(f"{tmp_path}: this model has no chat template. Take the model's chat version")
