"""The base that is taken where none is named, and whether it stands ready on this machine."""

from znatok.model.builtin import BUILTIN_HUB_ID, builtin_at_hand
from znatok.model.source import BUILTIN, BaseSource, find_base, is_cached

ON_A_GPU = "tinyllama"


def default_base_name() -> str:
    """What "auto" means: TinyLlama where there is a GPU and its weights are at hand, else the built-in model."""
    if not is_cached(ON_A_GPU):
        return BUILTIN
    import torch

    return ON_A_GPU if torch.cuda.is_available() else BUILTIN


def base_at_hand(name: str) -> BaseSource | None:
    """The base of this short name if its files stand ready: nothing is fetched, converted or read through."""
    if name == BUILTIN:
        folder = builtin_at_hand()
        return BaseSource(name, folder, BUILTIN_HUB_ID, None, True) if folder else None
    return find_base(name) if is_cached(name) else None
