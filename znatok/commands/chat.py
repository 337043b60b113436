"""`znatok chat` and the original `chat.py`: a conversation with a run's model, or one answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from znatok.commands.options import Options
from znatok.errors import RunError, UsageError
from znatok.messages import settle_language, text

if TYPE_CHECKING:
    from znatok.answering.policies import Judge, Policy
    from znatok.model.conversion import Progress
    from znatok.run_folder import RunFolder
    from znatok.use.loading import Talker

_DEFAULTS = Options()
Ask = Annotated[str | None, Parameter(help=text("chat.ask"))]


def chat(
    run: Annotated[Path | None, Parameter(name=["RUN", "--run"], help=text("chat.run"))] = None,
    *,
    base: Annotated[bool, Parameter(help=text("chat.base"), negative=())] = False,
    policy: Annotated[Literal["auto", "weights", "grounded"] | None, Parameter(help=text("chat.policy_flag"))] = None,
    ask: Ask = None,
    options: Options = _DEFAULTS,
) -> int:
    """Talks to the model of RUN, or of the newest finished run."""
    if base and policy is not None:
        raise UsageError("chat.base_has_no_policy")
    _check(ask, options)
    talker = _named(run, None, with_adapter=not base or ask is None)
    return _talk(talker, not base, policy or "auto", ask, options)


def chat_original(
    *,
    use_lora: Annotated[bool, Parameter(help=text("chat.use_lora"), negative=())] = False,
    lora_path: Annotated[Path | None, Parameter(help=text("chat.lora_path"))] = None,
    model_name: Annotated[str | None, Parameter(help=text("chat.model_name"))] = None,
    ask: Ask = None,
    options: Options = _DEFAULTS,
) -> int:
    """Talks to the base of the newest run; with --use_lora to its trained model. Weights only."""
    from znatok.model.source import BUILTIN
    from znatok.use.loading import load_base

    _check(ask, options)
    if use_lora or lora_path or not (model_name or _no_run_yet()):
        talker = _named(lora_path, model_name, with_adapter=use_lora or ask is None)
    else:
        talker = load_base(model_name or BUILTIN, _fetch_screen())
    return _talk(talker, use_lora, None, ask, options)


def _check(ask: str | None, options: Options) -> None:
    if ask is None and options.json:
        raise UsageError("chat.json_needs_ask")
    if ask is not None and not ask.strip():
        raise UsageError("chat.ask_is_empty")


def _no_run_yet() -> bool:
    from znatok.run_folder import find_run

    try:
        find_run(None)
    except RunError:
        return True
    return False


def _named(asked: Path | None, base: str | None, with_adapter: bool) -> "Talker":
    """The model of a run, its `adapter/` or a bare adapter folder, named on stderr before it is loaded."""
    from znatok.run_folder import find_run
    from znatok.use.chat import tell
    from znatok.use.loading import is_adapter_folder, load_adapter_folder, load_run

    if asked is not None and is_adapter_folder(asked):
        tell("chat.using_adapter", folder=asked)
        return load_adapter_folder(asked, base=base, progress=_fetch_screen())
    run = find_run(asked)
    settle_language(_questions(run))
    tell("chat.using_run", run=run.path)
    return load_run(run, base=base, with_adapter=with_adapter, progress=_fetch_screen())


def _questions(run: "RunFolder") -> str:
    from znatok.run_folder import read_lines

    try:
        return " ".join(str(record.get("question", "")) for record in read_lines(run.rows))
    except (OSError, RunError):
        return ""


def _fetch_screen() -> "Progress":
    """Shows the one-time fetch of a base; that a base in the cache is verified each time is not worth a line."""
    from znatok.use.terminal import talk
    from znatok.use.training_screen import TrainingScreen

    fetched = TrainingScreen(talk(to_stderr=True)).fetched
    return lambda stage, done, total: None if stage == "verify" else fetched(stage, done, total)


def _talk(talker: "Talker", use_adapter: bool, policy: "Policy | None", ask: str | None, options: Options) -> int:
    """policy: None where the weights alone answer, and no one asks how sure they are."""
    from znatok.use.chat import converse, tell
    from znatok.use.loading import load_judge

    judge = load_judge(talker) if policy else None
    if policy in ("auto", "grounded") and use_adapter and judge is None:
        tell("chat.no_calibration")
    if ask is not None:
        return _answer(talker, use_adapter, judge, policy, ask, options)
    you, model = text("chat.words_for_user"), text("chat.words_for_model")
    shown = policy or "weights"
    converse(talker, words_for_user=you, words_for_model=model, use_adapter=use_adapter, judge=judge, policy=shown)
    return 0


def _answer(
    talker: "Talker", use_adapter: bool, judge: "Judge | None", policy: "Policy | None", ask: str, options: Options
) -> int:
    """Prints one answer: alone, or as JSON. One that is declined leaves stdout empty."""
    from znatok.use.chat import answer, answer_with_source, follow, say, tell_ending, tell_who_answers, write
    from znatok.use.sourced import declined_in_words, source_as_json, source_in_words
    from znatok.use.terminal import json_line

    found, reply = None, None
    if judge and policy and use_adapter:
        tell_who_answers(talker, use_adapter, policy)
        found, pieces = answer_with_source(talker, judge, ask, (), policy)
    else:
        tell_who_answers(talker, use_adapter)
        pieces = answer(talker, ask, use_adapter=use_adapter)
    if found is None or found.source != "declined":
        reply = follow(pieces, (lambda _: None) if options.json else write)
    if options.json:
        record: dict[str, Any] = {
            "question": ask,
            "answer": reply.text if reply else None,
            "stopped": reply.ended == "end_of_turn" if reply else None,
            "run": str(talker.run.path) if talker.run else None,
            "model": talker.name,
        }
        if use_adapter:
            record |= source_as_json(found) if found else {"source": "weights"} | dict.fromkeys(("row", "confidence"))
        write(json_line(record))
    if reply or options.json:
        write("\n")
    if reply:
        tell_ending(reply)
    if found:
        say(source_in_words(found) if reply else declined_in_words(found, can_choose=False))
    return 0
