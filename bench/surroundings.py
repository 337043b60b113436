"""What a measurement is made in: the environment of the processes that are timed, and the versions of what they use."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

ALONE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
"""The environment of every process: no network, no threads besides those that train."""


def versions(packages: Sequence[str]) -> dict[str, str | None]:
    """The version of each package; None where it is not installed."""
    return {name: _version(name) for name in packages}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
