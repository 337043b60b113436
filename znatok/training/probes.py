"""What the model can do already, looked at while it learns: an answer, the loss on other wordings, the rows missed."""

from threading import Event as Flag

from znatok.data.batch import make_batch
from znatok.data.render import Renderer
from znatok.model.network import Network
from znatok.records import Row
from znatok.training.events import Sampled, Validated
from znatok.training.lesson import POINTS
from znatok.training.plan import SAMPLE_SHARE, Plan
from znatok.training.step import rows_right

FIRST_ANSWER_TOKENS = 48
"""How much the base says to each of two questions before training: enough to see, at most some seconds."""

ROWS_ASKED = 16


def sampled(network: Network, renderer: Renderer, row: Row, step: int, limit: int, stop: Flag) -> Sampled:
    """The answer to the question of `row`, cut at `limit` tokens, or where `stop` is set."""
    ids: list[int] = []
    network.use()
    for number in network.stream(renderer.prompt(row.question), limit, renderer.stop_id):
        ids.append(number)
        if stop.is_set():
            break
    network.train()
    return Sampled(step, row.question, renderer.decode(ids), is_cut=renderer.stop_id not in ids)


def sample_tokens(plan: Plan, speed: float) -> int:
    """How long a shown answer may be, so that all of them take no more than their share of the time."""
    seconds = SAMPLE_SHARE * plan.tokens / speed / POINTS
    # One stream decodes about a tenth as many tokens a second as training takes in.
    return max(8, min(FIRST_ANSWER_TOKENS * 2, int(seconds * speed / 10)))


def validated(network: Network, renderer: Renderer, plan: Plan, step: int) -> Validated:
    """The loss on what is kept out of training."""
    rendered = [renderer.conversation(one.question, one.reference) for one in plan.validation.questions]
    rendered.sort(key=lambda one: len(one.ids))
    network.use()
    loss, count = 0.0, 0
    for start in range(0, len(rendered), 8):
        batch = make_batch(rendered[start : start + 8])
        loss += network.loss(batch)
        count += len(batch.target_N)
    network.train()
    return Validated(step, loss / count)


def missed(
    network: Network, renderer: Renderer, plan: Plan, exact: dict[int, bool], *, all_rows: bool = False
) -> list[int]:
    """Places of the rows that are not known by heart as they stand in the table; `exact` learns which are, after all.

    Only rows that their last exposure got wrong are asked: it may have been another wording. all_rows: the others, too,
    for updates on a few rows can cost what others knew.
    """
    doubtful = [place for place, is_right in exact.items() if all_rows or not is_right]
    network.use()
    for start in range(0, len(doubtful), ROWS_ASKED):
        places = doubtful[start : start + ROWS_ASKED]
        batch = make_batch(
            [renderer.conversation(plan.rows[place].question, plan.rows[place].answer) for place in places]
        )
        exact.update(zip(places, rows_right(batch, network.hits(batch)), strict=True))
    network.train()
    return [place for place in doubtful if not exact[place]]
