"""Adapters saved on the way: the last few, and the best by validation loss."""

import shutil
from pathlib import Path

from znatok.model.network import Network


class Checkpoints:
    """Keeps `limit` adapters under `folder`; the best one is never the one deleted."""

    def __init__(self, folder: Path, network: Network, limit: int) -> None:
        self._folder = folder
        self._network = network
        self._limit = limit
        self._losses: dict[Path, float] = {}

    def keep(self, step: int, loss: float) -> None:
        """Saves the adapter as it is after `step`, with its validation loss."""
        path = self._folder / f"step-{step:06d}"
        self._network.save_adapter(path)
        self._losses[path] = loss
        best = self._best()
        while len(self._losses) > self._limit:
            oldest = next(path for path in self._losses if path != best or len(self._losses) == 1)
            del self._losses[oldest]
            shutil.rmtree(oldest)

    def restore_best(self) -> None:
        """Puts the best saved adapter back into the network; nothing where none was saved."""
        if best := self._best():
            self._network.read_adapter(best)

    def _best(self) -> Path | None:
        return min(self._losses, key=self._losses.__getitem__) if self._losses else None
