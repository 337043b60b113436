"""The signals that end training: the first one ends it after the update under way, the second one at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event as Flag
from types import FrameType

# The last two are those of a closed window: the terminal's on Linux and macOS, the console's on Windows.
EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGBREAK": 130}


class EndedBySignal(KeyboardInterrupt):
    """Ends the command at once, with the exit code of the signal."""

    def __init__(self, exit_code: int) -> None:
        super().__init__()
        self.exit_code = exit_code


@dataclass(slots=True)
class Stopping:
    """What the signals have asked for so far."""

    flag: Flag
    can_save: bool = False
    """Whether there is anything to save yet; before, the first signal ends at once, too."""
    exit_code: int | None = None

    @property
    def is_alone(self) -> bool:
        """Whether the terminal is gone, so that writing to it would fail."""
        return self.exit_code == EXIT_CODES["SIGHUP"]

    def receive(self, number: int, _: FrameType | None) -> None:
        code = EXIT_CODES[signal.Signals(number).name]
        if self.flag.is_set() or not self.can_save:
            raise EndedBySignal(code)
        self.exit_code = code
        self.flag.set()


@contextmanager
def stopped_by_signals() -> Iterator[Stopping]:
    """A block in which signals set a flag. One that was ignored before, as under `nohup`, stays so."""
    stopping = Stopping(Flag())
    known = [getattr(signal, name) for name in EXIT_CODES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in known}
    taken = [number for number in known if before[number] is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, stopping.receive)
    try:
        yield stopping
    finally:
        for number in taken:
            signal.signal(number, before[number] or signal.SIG_DFL)
