"""A conversation becomes token ids and a loss mask: the one place that does it.

Training, exam, chat and export all call `Renderer`. The base model's chat template is rendered once, on placeholders;
what stands between the placeholders are the fragments. Content is encoded by itself, by a tokenizer that passes
over control tokens, so that `<|im_end|>` typed in a cell or in the chat stays text.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer

from znatok.data.template_sandbox import PLACEHOLDERS, Rendering, TooMuch, renderings
from znatok.errors import ModelError, ZnatokError
from znatok.records import Rendered

Turn = tuple[str, str]
"""A question and its answer, earlier in the conversation."""


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
    empty, where the template knows system parts; a template that invents none gets none.

    Raises ModelError where the template is broken or does not keep a conversation in order.
    """
    try:
        bare, behind_empty_system = renderings(chat_template, tokens)
    except TooMuch as error:
        raise ModelError(f"render.too_much_{error.what}") from error
    try:
        template = _fragments(_rendered(bare), control)
        if not _beside_control(template.opening, control):
            return template
    except ModelError:
        with suppress(ModelError):  # some templates demand a system part
            return _fragments(_rendered(behind_empty_system), control)
        raise
    try:
        return _fragments(_rendered(behind_empty_system), control)
    except ModelError:
        return template


def _rendered(rendering: Rendering) -> str:
    rendered, reason = rendering
    if rendered is None:
        raise ModelError("render.template_broken", reason=reason)
    return rendered


def _fragments(rendered: str, control: Sequence[str]) -> Template:
    opening, past_answer_open, between, answer_open, closing = _between(rendered)
    ends = [token for token in control if token and token in closing]
    if not ends:
        raise ModelError("render.no_end_of_turn")
    end_of_turn = min(ends, key=lambda token: (closing.index(token), -len(token)))
    end = closing.index(end_of_turn) + len(end_of_turn)
    gap = _common_prefix(between[end:], closing[end:])
    question_open = between[end + len(gap) :]
    if between[:end] != closing[:end] or not opening.endswith(question_open):
        raise ModelError("render.turns_differ")
    return Template(
        opening=opening.removesuffix(question_open),
        question_open=question_open,
        answer_open=answer_open,
        past_answer_open=past_answer_open,
        end_of_turn=closing[:end],
        gap=gap,
    )


def _beside_control(opening: str, control: Sequence[str]) -> str:
    """What an opening says besides control tokens such as the beginning of text."""
    for token in sorted(filter(None, control), key=len, reverse=True):
        opening = opening.replace(token, "")
    return opening.strip()


def _between(rendered: str) -> list[str]:
    """The five texts around the four placeholders."""
    pieces = []
    for placeholder in PLACEHOLDERS:
        before, found, rendered = rendered.partition(placeholder)
        if not found:
            raise ModelError("render.turns_differ")
        pieces.append(before)
    return [*pieces, rendered]


def _common_prefix(one: str, other: str) -> str:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return one[:length]


def _is_control(token: dict[str, Any]) -> bool:
    """Whether an added token steers the model, as opposed to a word or run of spaces that was added for its length."""
    return bool(token["special"]) or re.fullmatch(r"<.*>|\[[A-Z_/]+\]", token["content"]) is not None


def load_renderer(folder: Path, tokenizer_file: Path) -> "Renderer":
    """The renderer of a base model's folder: `tokenizer_config.json` and its chat template.

    Raises ModelError where the model has no chat template, or a file of its tokenizer is damaged.
    """
    try:
        return _read_renderer(folder, tokenizer_file)
    except (ZnatokError, OSError):
        raise
    except BaseException as error:  # a damaged file can fail anywhere, and tokenizers raises plain Exceptions
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":  # Rust's, which is no Exception
            raise ModelError("render.unreadable", folder=folder) from error
        raise


def _read_renderer(folder: Path, tokenizer_file: Path) -> "Renderer":
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    template_file = folder / "chat_template.jinja"
    chat_template = (
        template_file.read_text(encoding="utf-8") if template_file.is_file() else config.get("chat_template")
    )
    if not isinstance(chat_template, str):
        raise ModelError("render.no_template", folder=folder)
    tokenizer_json = tokenizer_file.read_text(encoding="utf-8")
    description = json.loads(tokenizer_json)
    _refuse_broken_merges(description["model"])
    control = [token["content"] for token in description["added_tokens"] if token["special"]]
    tokens = {name: _token_text(config[name]) for name in ("bos_token", "eos_token", "unk_token") if config.get(name)}
    return Renderer(tokenizer_json, read_template(chat_template, tokens, control))


def _refuse_broken_merges(model: dict[str, Any]) -> None:
    """tokenizers 0.23 cuts this prefix off the second part of each merge unseen, and falls with us where there is none.

    Raises ValueError.
    """
    prefix = model.get("continuing_subword_prefix")
    for merge in model.get("merges") or () if prefix else ():
        if not (merge if isinstance(merge, list) else merge.split(" "))[1].startswith(prefix):
            raise ValueError("a merge without the prefix of its vocabulary")


def _token_text(token: str | dict[str, str]) -> str:
    return token if isinstance(token, str) else token["content"]


class Renderer:
    """Turns questions and answers into token ids for one base model, and generated ids back into text."""

    def __init__(self, tokenizer_json: str, template: Template) -> None:
        """tokenizer_json: the text of a `tokenizer.json`."""
        self.template = template
        description: dict[str, Any] = json.loads(tokenizer_json) | {"truncation": None, "padding": None}
        added = description["added_tokens"]
        self.special_ids = frozenset(token["id"] for token in added if token["special"])
        self.control_ids = frozenset(token["id"] for token in added if _is_control(token))
        self._markup = Tokenizer.from_str(json.dumps(description))
        # Control tokens stay in the list, so that the ids of the words behind them do not move; they are passed over.
        unseen = [token | {"special": True} if _is_control(token) else token for token in added]
        words_stay_words = {"added_tokens": unseen, "post_processor": None}
        self._content = Tokenizer.from_str(json.dumps(description | words_stay_words))
        self._content.encode_special_tokens = True
        # SentencePiece models put a word mark before the first letter of any text. Inside a conversation there is
        # none, so what stands there is encoded behind a line break, which is then taken off.
        marked = self._content.encode("x", add_special_tokens=False).tokens[0].startswith("▁")
        self._lead = "\n" if marked else ""
        self._lead_ids = self._content.encode(self._lead, add_special_tokens=False).ids
        after_answer = template.end_of_turn + template.gap + template.question_open
        self._opening = self._markup.encode(template.opening + template.question_open, add_special_tokens=False).ids
        self._answer_open = _ids_of(self._inside(self._markup, template.answer_open))
        self._past_answer_open = _ids_of(self._inside(self._markup, template.past_answer_open))
        self._between = _ids_of(self._inside(self._markup, after_answer))
        self._end_of_turn = _ids_of(self._inside(self._markup, template.end_of_turn))
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
        return Rendered((*prompt, *self.answer_ids(answer)), len(prompt))

    def answer_ids(self, answer: str) -> tuple[int, ...]:
        """Ids of an answer, its end of turn included."""
        return (*self.content_ids(answer), *self._end_of_turn)

    def content_ids(self, text: str) -> list[int]:
        """Ids of what a person or the model wrote. Never holds a control id."""
        found, _, lead_size = self._encoded(self._content, text)
        ids: list[int] = found.ids
        if self.control_ids.isdisjoint(ids):
            return ids[lead_size:]
        ids = []
        for id, piece in self._inside(self._content, text):
            if id not in self.control_ids:
                ids.append(id)
                continue
            # A vocabulary that holds a control token as a plain word, too: spell it letter by letter.
            letters = (id for letter in piece for id in _ids_of(self._inside(self._content, letter)))
            ids += [id for id in letters if id not in self.control_ids]
        return ids

    def _inside(self, tokenizer: Tokenizer, text: str) -> list[tuple[int, str]]:
        """Ids of a text that does not begin a conversation, each with the characters that it came from."""
        found, lead, lead_size = self._encoded(tokenizer, text)
        pieces = [(lead + text)[start:end] for start, end in found.offsets]
        return list(zip(found.ids, pieces, strict=True))[lead_size:]

    def _encoded(self, tokenizer: Tokenizer, text: str) -> tuple[Encoding, str, int]:
        """Such a text encoded, what was put before it, and how many ids that takes."""
        found = tokenizer.encode(self._lead + text, add_special_tokens=False)
        if found.ids[: len(self._lead_ids)] == self._lead_ids:
            return found, self._lead, len(self._lead_ids)
        return tokenizer.encode(text, add_special_tokens=False), "", 0

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids, up to the end of turn; special tokens are left out."""
        ids = list(ids)
        if self.stop_id in ids:
            ids = ids[: ids.index(self.stop_id)]
        # The lead keeps SentencePiece decoders from eating a first space that belongs to the text.
        return self._shown(self._lead, [id for id in ids if id not in self.special_ids]).strip()

    def token_texts(self, rendered: Rendered) -> list[str]:
        """What each id shows as, for colouring; a character cut by token borders stands with its last token."""
        texts: list[str] = []
        pending: list[int] = []
        lead = ""  # at the very start and behind a control token, a word mark is no space
        for id in rendered.ids:
            pending.append(id)
            piece = self._shown(lead, pending)
            if piece.endswith("�") and id not in self.control_ids:
                texts.append("")
                continue
            texts.append(piece)
            pending = []
            lead = "" if id in self.control_ids else self._lead
        return texts

    def _shown(self, lead: str, ids: Sequence[int]) -> str:
        lead_ids = self._lead_ids if lead else []
        return str(self._markup.decode([*lead_ids, *ids], skip_special_tokens=False)).removeprefix(lead)

    def describe(self) -> dict[str, Any]:
        """The fragments and the ids that they have in a conversation, as the run folder keeps them."""
        ids = {
            "opening": self._opening,
            "answer_open": self._answer_open,
            "past_answer_open": self._past_answer_open,
            "between": self._between,
            "end_of_turn": self._end_of_turn,
        }
        return {**asdict(self.template), "ids": {name: list(value) for name, value in ids.items()}}


def _ids_of(pieces: Sequence[tuple[int, str]]) -> list[int]:
    return [id for id, _ in pieces]
