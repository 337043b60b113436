"""The terminal chat: questions typed or piped in, answers streamed as the model finds them."""

import difflib
import re
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import Literal

from znatok.answering.policies import Answered, Judge, Policy, answered
from znatok.data.render import Turn
from znatok.errors import ZnatokError
from znatok.messages import text
from znatok.model.decode import Guess, no_guess
from znatok.records import Row
from znatok.use.lines import Ask, piped, terminal
from znatok.use.loading import Talker
from znatok.use.small_talk import read_taught
from znatok.use.sourced import declined_in_words, numbered, source_in_words
from znatok.use.terminal import clean, printable, settled_part

ANSWER_TOKENS = 400
"""Where an answer that does not stop by itself is cut."""

LEAST_ANSWER_TOKENS = 16
"""Room that a question must leave in the model's context."""

COMMANDS = ("/base", "/adapter", "/history", "/new", "/help", "/quit")
LEAVE = frozenset({"/quit", "/exit", "exit", "quit", "выход", "/выход"})

Ending = Literal["end_of_turn", "limit"]
_COMMAND = re.compile(r"/\w+(\s|\Z)")


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, and why it ended."""

    text: str
    ended: Ending


def answer(
    talker: Talker, question: str, history: Sequence[Turn] = (), *, use_adapter: bool = True
) -> Generator[str, None, Ending]:
    """The model's answer, piece by piece as it is found; the generator's return value says why it ended.

    Only new text, without control characters and terminal escapes; a character is never shown in parts.

    Raises ZnatokError where question and history leave no room for an answer in the model's context.
    """
    prompt = _prompt(talker, question, history)
    limit = min(ANSWER_TOKENS, _room(talker, prompt))
    guess = _guess(talker, question) if use_adapter else no_guess
    writing = talker.network.stream_scored(prompt, limit, talker.renderer.stop_id, guess)
    return _pieces(talker, (id for id, _ in writing), use_adapter)


def answer_with_source(
    talker: Talker, judge: Judge, question: str, history: Sequence[Turn], policy: Policy
) -> tuple[Answered, Generator[str, None, Ending]]:
    """The same under a policy, and where the answer comes from; a declined one has no pieces.

    Raises ZnatokError as `answer` does.
    """
    _room(talker, _prompt(talker, question, history))
    guess = _guess(talker, question)
    found = answered(talker.network, judge, _legible(question), history, policy, ANSWER_TOKENS, guess)
    return found, _at_once(found.row.answer) if found.row else _pieces(talker, found.ids, use_adapter=True)


def _guess(talker: Talker, question: str) -> Guess:
    return talker.guesses.at(_legible(question)) if talker.guesses else no_guess


def _room(talker: Talker, prompt: Sequence[int]) -> int:
    """Tokens of an answer that the model's context leaves room for."""
    room = talker.network.context_length - len(prompt)
    if room < LEAST_ANSWER_TOKENS:
        limit = talker.network.context_length - LEAST_ANSWER_TOKENS
        raise ZnatokError("chat.too_long", tokens=len(prompt), limit=limit)
    return room


def _at_once(answer: str) -> Generator[str, None, Ending]:
    yield clean(answer)
    return "end_of_turn"


def _pieces(talker: Talker, found: Iterator[int], use_adapter: bool) -> Generator[str, None, Ending]:
    network, renderer = talker.network, talker.renderer
    ids: list[int] = []
    shown = ""
    ended: Ending = "limit"
    with nullcontext() if use_adapter else network.base_alone():
        for id in found:
            if id == renderer.stop_id:
                ended = "end_of_turn"
                break
            ids.append(id)
            settled = clean(settled_part(renderer.decode(ids)))
            if len(settled) > len(shown):
                yield settled[len(shown) :]
                shown = settled
    if rest := clean(renderer.decode(ids))[len(shown) :]:
        yield rest
    return ended


def follow(pieces: Generator[str, None, Ending], write: Callable[[str], None]) -> Reply:
    """Writes `pieces` as they come and gives the whole reply. Whatever stops it midway closes the generator."""
    texts: list[str] = []
    ended: Ending = "limit"

    def kept() -> Generator[str, None, None]:
        nonlocal ended
        ended = yield from pieces

    with closing(pieces):
        for piece in kept():
            texts.append(piece)
            write(piece)
    return Reply("".join(texts), ended)


def converse(
    talker: Talker,
    *,
    words_for_user: str,
    words_for_model: str,
    use_adapter: bool = True,
    judge: Judge | None = None,
    policy: Policy = "weights",
    ask: Ask | None = None,
) -> None:
    """A conversation, until the user leaves. Questions and answers go to stdout, all else to stderr.

    About a run it opens with the score and three questions of the table; greetings and the like are answered by the
    interface, never by the model.

    words_for_user, words_for_model: who speaks, at the beginning of a line.  judge: says how sure an answer is; without
    it, and while the base answers, answers have no source and `policy` no effect.  ask: where lines come from instead
    of the terminal or the pipe.
    """
    ask = ask or (terminal(words_for_user) if sys.stdin.isatty() and sys.stdout.isatty() else piped(words_for_user))
    adapted = use_adapter and talker.network.has_adapter
    conversation = _Conversation(talker, words_for_model, adapted, judge, policy)
    taught = read_taught(talker.run) if talker.run else None
    conversation.tell_who_answers()
    if taught:
        say(taught.opening())
    tell("chat.opening")
    while True:
        try:
            line = ask().strip()
        except (EOFError, KeyboardInterrupt):
            return
        if line.casefold() in LEAVE:
            return
        if _COMMAND.match(line):
            conversation.obey(line)
        elif row := conversation.chosen(line):
            say(row.question)
            conversation.ask(row.question, "grounded")
        elif taught and (reply := taught.reply(line)):
            say(reply)
        elif line:
            conversation.ask(line)


@dataclass(slots=True)
class _Conversation:
    """What a conversation remembers."""

    talker: Talker
    words_for_model: str
    use_adapter: bool
    judge: Judge | None
    policy: Policy
    keeps_history: bool = False
    history: list[Turn] = field(default_factory=list)
    offered: tuple[Row, ...] = ()
    """Rows whose questions were named where the last one was declined, by the interface or by the model itself."""

    def chosen(self, line: str) -> Row | None:
        """The row whose question is chosen by its number; None where `line` is no such number."""
        numbers = {str(number): row for number, row in enumerate(self.offered, start=1)}
        return numbers.get(line)

    def ask(self, question: str, policy: Policy | None = None) -> None:
        """Shows the model's answer. Ctrl+C stops it, and it is not remembered."""
        self.offered = ()
        try:
            history = recent(self.talker, question, self.history)
            if len(history) < len(self.history):
                tell("chat.forgotten", count=len(self.history) - len(history))
                self.history = history
            found, pieces = self._begin(question, history, policy or self.policy)
            print(self.words_for_model, end=" ", flush=True)
            if found and found.source == "declined":
                print(printable(declined_in_words(found, can_choose=True)), flush=True)
                self.offered = found.closest
                return
            reply = follow(pieces, write)
            print(flush=True)
        except KeyboardInterrupt:
            print(flush=True)
            tell("chat.stopped")
            return
        except ZnatokError as error:
            say(str(error))
            return
        tell_ending(reply)
        if found:
            say(f"({source_in_words(found)})")
        self._offer_where_declined(question, reply)
        if self.keeps_history:
            self.history.append((question, reply.text))

    def _offer_where_declined(self, question: str, reply: Reply) -> None:
        """Names the closest questions where the model says that its table has none like it: mostly it is asked in
        words that it does not know."""
        taught = self.talker.guesses
        if taught and self.use_adapter and reply.text == taught.refusal:
            self.offered = taught.closest(_legible(question))
            if self.offered:
                say(numbered("chat.closest", self.offered))

    def _begin(
        self, question: str, history: Sequence[Turn], policy: Policy
    ) -> tuple[Answered | None, Generator[str, None, Ending]]:
        if self.judge and self.use_adapter:
            return answer_with_source(self.talker, self.judge, question, history, policy)
        return None, answer(self.talker, question, history, use_adapter=self.use_adapter)

    def obey(self, line: str) -> None:
        """Does what a line beginning with "/" says."""
        match line.casefold().split():
            case ["/base"]:
                self.use_adapter = False
                self.tell_who_answers()
            case ["/adapter"] if not self.talker.network.has_adapter:
                tell("chat.no_adapter")
            case ["/adapter"]:
                self.use_adapter = True
                self.tell_who_answers()
            case ["/history", "on" | "off" as switch]:
                self.keeps_history = switch == "on"
                self.history = []
                tell(f"chat.history_{switch}")
            case ["/history"]:
                tell("chat.history_on" if self.keeps_history else "chat.history_off")
            case ["/new"]:
                self.history = []
                tell("chat.new")
            case ["/help"]:
                tell("chat.help")
            case [word, *_]:
                near = difflib.get_close_matches(word, COMMANDS, n=1, cutoff=0.0)[0]
                tell("chat.unknown_command", line=line, near="/history on" if near == "/history" else near)

    def tell_who_answers(self) -> None:
        """Names the model that answers from here on."""
        tell_who_answers(self.talker, self.use_adapter, self.policy if self.judge else None)


def recent(talker: Talker, question: str, history: Sequence[Turn]) -> list[Turn]:
    """The last turns of `history` that leave room for an answer in the model's context."""
    limit = talker.network.context_length - LEAST_ANSWER_TOKENS
    kept = list(history)
    while kept and len(_prompt(talker, question, kept)) > limit:
        del kept[0]
    return kept


def tell_who_answers(talker: Talker, use_adapter: bool, policy: Policy | None = None) -> None:
    """Names the model that answers, on stderr, and the policy where there is one."""
    tell("chat.adapter_answers" if use_adapter else "chat.base_answers", model=talker.name)
    if policy and use_adapter:
        tell(f"chat.policy.{policy}")


def tell_ending(reply: Reply) -> None:
    """Says on stderr where an answer is empty or was cut."""
    if reply.ended == "limit":
        tell("chat.cut")
    elif not reply.text:
        tell("chat.silence")


def _prompt(talker: Talker, question: str, history: Sequence[Turn]) -> tuple[int, ...]:
    return talker.renderer.prompt(_legible(question), history)


def _legible(question: str) -> str:
    """Bytes that are no UTF-8 arrive from the shell as lone surrogates, which no tokenizer takes."""
    return question.encode("utf-8", "replace").decode("utf-8")


def write(piece: str) -> None:
    """Puts `piece` on stdout at once."""
    print(piece, end="", flush=True)


def tell(key: str, **values: object) -> None:
    """Puts the message `key` on stderr."""
    say(text(key, **values))


def say(words: str) -> None:
    """Puts `words` on stderr."""
    print(printable(words), file=sys.stderr, flush=True)
