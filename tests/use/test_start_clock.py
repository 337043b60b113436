import io

from rich.console import Console

from znatok import messages
from znatok.training.events import ModelLoaded, Stepped
from znatok.use.start_clock import timed_start


def test_what_the_start_took_is_told_once_after_the_first_step():
    step = Stepped(1, 2, 1.0, None, 1e-3, 10, 100.0, 1.0)
    events = [ModelLoaded(1.0), step, step]
    out = io.StringIO()
    messages.set_language("en")
    assert list(timed_start(iter(events_of(events)), Console(file=out, width=400))) == events
    (line,) = out.getvalue().splitlines()
    assert " s from the command to the first step: imports " in line
    assert "weights 0.0" in line
    assert "table 0.0" in line


def events_of(events):
    yield from events


def test_leaving_early_ends_the_training_behind_it():
    ended = []

    def training():
        try:
            yield ModelLoaded(1.0)
        finally:
            ended.append(True)

    watched = timed_start(training(), Console(file=io.StringIO()))
    next(watched)
    watched.close()
    assert ended == [True]
