"""A pseudo-terminal, and what is written to it."""

import os
import threading
from contextlib import contextmanager


@contextmanager
def on_a_terminal(encoding="utf-8"):
    """The end that a program writes to, and a function that closes it and gives all that was written."""
    import pty

    mine, its = pty.openpty()
    pieces = []

    def read():
        with os.fdopen(mine, "rb", buffering=0) as screen:
            try:
                while piece := screen.read(65536):
                    pieces.append(piece)
            except OSError:  # Linux: the other end is closed and everything is read
                pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()

    def written():
        os.close(its)
        reader.join()
        return b"".join(pieces).decode(encoding)

    yield its, written
