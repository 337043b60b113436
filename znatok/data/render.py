"""A conversation becomes token ids and a loss mask: the one place that does it.

Training, exam, chat and export all call `Renderer`. The base model's chat template is rendered once, on placeholders;
what stands between the placeholders are the fragments. Content is encoded by itself, by a tokenizer that knows no
control tokens, so that `<|im_end|>` typed in a cell or in the chat stays text.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from znatok.errors import ModelError
from znatok.records import Rendered

Turn = tuple[str, str]
"""A question and its answer, earlier in the conversation."""

_FIXED_DATE = "26 Jul 2024"
"""Llama 3's template prints today's date, which would change every prompt every day; this is its own default."""


@dataclass(frozen=True, slots=True)
class Template:
    """What a base model's chat template puts around questions and answers, as text.

    A conversation is `opening`, then for every turn `question_open` question `answer_open` answer `end_of_turn` `gap`.
    Earlier answers are opened with `past_answer_open`: Qwen3 marks the last answer as "not thought about".
    """

    opening: str
    question_open: str
    answer_open: str
    past_answer_open: str
    end_of_turn: str
    gap: str


def read_template(chat_template: str, tokens: dict[str, str], control: Sequence[str]) -> Template:
    """The fragments of a Jinja `chat_template`.

    tokens: `bos_token`, `eos_token` and whatever else the template names.  control: the tokenizer's control tokens; the
    first one that closes an answer is the end of turn.  A system part that the template would invent is made explicitly
    empty; a template that invents none gets none.

    Raises ModelError where the template is broken or does not keep a conversation in order.
    """
    try:
        render = _compiled(chat_template, tokens)
        fragments = _between(render([]))
        # With no system message, the opening should hold no more than the beginning-of-text token.
        unasked = fragments[0].removesuffix(_common_suffix(fragments[2], fragments[0]))
        if unasked not in ("", tokens.get("bos_token")):
            fragments = _between(render([{"role": "system", "content": ""}]))
    except (TemplateError, ValueError, TypeError, KeyError) as error:
        raise ModelError("render.template_broken", reason=str(error)) from error
    opening, past_answer_open, between, answer_open, closing = fragments
    end_of_turn = min((token for token in control if token and token in closing), key=closing.index, default="")
    if not end_of_turn:
        raise ModelError("render.no_end_of_turn")
    end = closing.index(end_of_turn) + len(end_of_turn)
    gap = _common_prefix(between[end:], closing[end:])
    question_open = between[end + len(gap) :]
    if not opening.endswith(question_open):
        raise ModelError("render.template_broken", reason="question marks differ between turns")
    return Template(
        opening=opening.removesuffix(question_open),
        question_open=question_open,
        answer_open=answer_open,
        past_answer_open=past_answer_open,
        end_of_turn=closing[:end],
        gap=gap,
    )


def _compiled(chat_template: str, tokens: dict[str, str]) -> Callable[[list[dict[str, str]]], str]:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda _: _FIXED_DATE
    compiled = environment.from_string(chat_template)
    conversation = [
        {"role": "user", "content": "⁂q1⁂"},
        {"role": "assistant", "content": "⁂a1⁂"},
        {"role": "user", "content": "⁂q2⁂"},
        {"role": "assistant", "content": "⁂a2⁂"},
    ]

    def render(system: list[dict[str, str]]) -> str:
        return compiled.render(
            messages=system + conversation,
            add_generation_prompt=False,
            enable_thinking=False,
            date_string=_FIXED_DATE,
            **tokens,
        )

    return render


def _raise(message: str) -> None:
    raise TemplateError(message)


def _between(rendered: str) -> list[str]:
    """The five texts around the four placeholders."""
    pieces = []
    for placeholder in ("⁂q1⁂", "⁂a1⁂", "⁂q2⁂", "⁂a2⁂"):
        before, found, rendered = rendered.partition(placeholder)
        if not found:
            raise ValueError(f"{placeholder} is missing")
        pieces.append(before)
    return [*pieces, rendered]


def _common_suffix(one: str, other: str) -> str:
    return _common_prefix(one[::-1], other[::-1])[::-1]


def _common_prefix(one: str, other: str) -> str:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return one[:length]


def _is_control(token: dict[str, Any]) -> bool:
    """Whether an added token steers the model, as opposed to a word or run of spaces that was added for its length."""
    return bool(token["special"]) or re.fullmatch(r"<.*>|\[[A-Z_/]+\]", token["content"]) is not None


class Renderer:
    """Turns questions and answers into token ids for one base model, and generated ids back into text."""

    def __init__(self, tokenizer_json: str, template: Template) -> None:
        """tokenizer_json: the text of a `tokenizer.json`."""
        self.template = template
        self._markup = Tokenizer.from_str(tokenizer_json)
        description = json.loads(tokenizer_json)
        added = description["added_tokens"]
        self.special_ids = frozenset(token["id"] for token in added if token["special"])
        self.control_ids = frozenset(token["id"] for token in added if _is_control(token))
        words = [token for token in added if not _is_control(token)]
        self._content = Tokenizer.from_str(json.dumps(description | {"added_tokens": words, "post_processor": None}))
        # SentencePiece models put a word mark before the first letter of any text. Inside a conversation there is
        # none, so content is encoded behind a line break, which is then taken off.
        marked = self._content.encode("x", add_special_tokens=False).tokens[0].startswith("▁")
        self._lead = "\n" if marked else ""
        self._lead_ids = self._content.encode(self._lead, add_special_tokens=False).ids
        self._opening = self._markup_ids(template.opening + template.question_open)
        self._answer_open = self._markup_ids(template.answer_open)
        self._past_answer_open = self._markup_ids(template.past_answer_open)
        self._between = self._markup_ids(template.end_of_turn + template.gap + template.question_open)
        self._end_of_turn = self._markup_ids(template.end_of_turn)
        self.stop_id = self._end_of_turn[-1]

    def prompt(self, question: str, history: Sequence[Turn] = ()) -> tuple[int, ...]:
        """Ids up to where the answer begins."""
        ids = list(self._opening)
        for earlier_question, earlier_answer in history:
            ids += self.content_ids(earlier_question) + self._past_answer_open
            ids += self.content_ids(earlier_answer) + self._between
        return tuple(ids + self.content_ids(question) + self._answer_open)

    def conversation(self, question: str, answer: str, history: Sequence[Turn] = ()) -> Rendered:
        """Ids of a whole turn; the answer and its end-of-turn token are trained, in every row."""
        prompt = self.prompt(question, history)
        return Rendered((*prompt, *self.content_ids(answer), *self._end_of_turn), len(prompt))

    def content_ids(self, text: str) -> list[int]:
        """Ids of what a person or the model wrote. Never holds a control id."""
        ids = self._content.encode(self._lead + text, add_special_tokens=False).ids
        if self._lead_ids and ids[: len(self._lead_ids)] == self._lead_ids:
            ids = ids[len(self._lead_ids) :]
        if self.control_ids.isdisjoint(ids):
            return ids
        # A vocabulary that holds a control token as a plain word: spell that text letter by letter.
        spelled = [id for letter in text for id in self._content.encode(letter, add_special_tokens=False).ids]
        return [id for id in spelled if id not in self.control_ids]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids, up to the end of turn; control tokens are left out."""
        ids = list(ids)
        if self.stop_id in ids:
            ids = ids[: ids.index(self.stop_id)]
        # The lead keeps SentencePiece decoders from eating a first space that belongs to the text.
        kept = self._lead_ids + [id for id in ids if id not in self.special_ids]
        return str(self._markup.decode(kept, skip_special_tokens=False)).removeprefix(self._lead).strip()

    def token_texts(self, rendered: Rendered) -> list[str]:
        """What each id shows as, for colouring; a character cut by token borders stands with its last token."""
        texts: list[str] = []
        pending: list[int] = []
        for id in rendered.ids:
            pending.append(id)
            piece = self._markup.decode(pending, skip_special_tokens=False)
            if piece.endswith("�") and id not in self.control_ids:
                texts.append("")
            else:
                texts.append(piece)
                pending = []
        return texts

    def describe(self) -> dict[str, Any]:
        """The fragments and their ids, as the run folder keeps them."""
        return {
            **asdict(self.template),
            "ids": {name: self._markup_ids(value) for name, value in asdict(self.template).items()},
        }

    def _markup_ids(self, text: str) -> list[int]:
        return self._markup.encode(text, add_special_tokens=False).ids
