"""Where a base model comes from: the built-in one, a short name, a hub id, a folder or a GGUF file.

A model asked for by name is found or refused, never swapped. What is on this machine is used without a network.
"""

import difflib
import hashlib
import json
import queue
import re
import socket
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from znatok.errors import ModelError, reason_of
from znatok.messages import text
from znatok.model.builtin import BUILTIN_HUB_ID, WHEEL_BYTES, builtin_folder, builtin_is_cached
from znatok.model.config_size import Shapes, refuse_greater_config
from znatok.model.conversion import Progress, convert_gguf, is_intact, models_folder, sha256_of, silent
from znatok.model.weight_files import PICKLED, is_pickle, read_shapes

BUILTIN = "builtin"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model"]
HUB_SECONDS = 8.0  # for the first answer of the hub
_TOKENIZER_SOURCES = ("tokenizer.model", "vocab.json", "merges.txt", "tokenizer_config.json", "added_tokens.json")


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model that has a short name. `gigabytes` are to be fetched once; 10**9 bytes each.

    tokens_per_russian_word: as measured with the tokenizer of its family; None where it was not.
    is_gated: its owners give it only to those who accept their terms on the hub.
    has_plain_roles: its chat template marks the roles with plain text, which no tokenizer can tell from typed text.
    """

    hub_id: str
    gigabytes: float
    licence: str
    tokens_per_russian_word: float | None = None
    is_gated: bool = False
    has_plain_roles: bool = False


# The bytes of the safetensors files that the hub has, in bf16; Qwen3 keeps its output layer twice.
BASE_MODELS = {
    BUILTIN: BaseModel(BUILTIN_HUB_ID, round(WHEEL_BYTES / 1e9, 1), "Apache-2.0", 6.5),
    "tinyllama": BaseModel("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 2.2, "Apache-2.0", 3.4, has_plain_roles=True),
    "smollm2-135m": BaseModel(BUILTIN_HUB_ID, 0.3, "Apache-2.0", 6.5),
    "smollm2-360m": BaseModel("HuggingFaceTB/SmolLM2-360M-Instruct", 0.7, "Apache-2.0", 6.5),
    "smollm2-1.7b": BaseModel("HuggingFaceTB/SmolLM2-1.7B-Instruct", 3.4, "Apache-2.0", 6.5),
    "qwen2.5-0.5b": BaseModel("Qwen/Qwen2.5-0.5B-Instruct", 1.0, "Apache-2.0"),
    "qwen2.5-1.5b": BaseModel("Qwen/Qwen2.5-1.5B-Instruct", 3.1, "Apache-2.0"),
    "qwen3-0.6b": BaseModel("Qwen/Qwen3-0.6B", 1.5, "Apache-2.0", 3.1),
    "qwen3-1.7b": BaseModel("Qwen/Qwen3-1.7B", 4.1, "Apache-2.0", 3.1),
    "llama3.2-1b": BaseModel("meta-llama/Llama-3.2-1B-Instruct", 2.5, "Llama 3.2 Community", is_gated=True),
    "gemma3-1b": BaseModel("google/gemma-3-1b-it", 2.0, "Gemma Terms of Use", 2.3, is_gated=True),
}
SHORT_NAMES = {name: base.hub_id for name, base in BASE_MODELS.items() if name != BUILTIN}


@dataclass(frozen=True, slots=True)
class BaseSource:
    """A base model on this machine. `public_id` and `revision` are what an adapter names as its base."""

    name: str
    folder: Path
    public_id: str
    revision: str | None
    is_builtin: bool


def find_base(name: str, progress: Progress | None = None) -> BaseSource:
    """The base model called `name`: a short name, a local folder, a GGUF file or a hub id, in this order.

    Raises: ModelError where there is no such model, it cannot be fetched, or its weights are pickled.
    """
    tell = progress or silent
    if name == BUILTIN:
        return BaseSource(name, builtin_folder(tell), BUILTIN_HUB_ID, None, True)
    if hub_id := SHORT_NAMES.get(name.lower()):
        return _from_hub(name, hub_id, tell)
    path = Path(name).expanduser()
    if path.suffix.lower() == ".gguf":
        return _from_gguf(name, path.absolute(), tell)
    if path.is_dir():
        folder = path.absolute()
        _check_folder(folder)
        return BaseSource(name, folder, str(folder), None, False)
    if path.is_file() and (path.suffix.lower() in PICKLED or is_pickle(path)):
        raise ModelError("weights.pickled", file=path.absolute())
    if HUB_ID.fullmatch(name):
        return _from_hub(name, name, tell)
    raise _unknown(name)


def is_cached(name: str) -> bool:
    """Whether `find_base(name)` needs no network, as far as a glance can tell."""
    if name == BUILTIN:
        return builtin_is_cached()
    path = Path(name).expanduser()
    hub_id = SHORT_NAMES.get(name.lower())
    if not hub_id and path.suffix.lower() == ".gguf":
        return path.is_file()
    if not hub_id and path.is_dir():
        return _is_complete(path)
    return bool(hub_id or HUB_ID.fullmatch(name)) and _snapshot_here(hub_id or name) is not None


def tokenizer_file(folder: Path) -> Path:
    """The `tokenizer.json` of a model's folder; where there is none, one made from its vocabulary, kept in the cache.

    Raises: ModelError where transformers cannot make one.
    """
    if (folder / "tokenizer.json").is_file():
        return folder / "tokenizer.json"
    sources = [folder / name for name in _TOKENIZER_SOURCES if (folder / name).is_file()]
    key = hashlib.sha256("".join(map(sha256_of, sources)).encode()).hexdigest()
    made = models_folder() / f"tokenizer-{key[:12]}.json"
    if not made.is_file():
        try:
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            with tempfile.TemporaryDirectory(dir=made.parent) as beside:
                tokenizer.backend_tokenizer.save(str(Path(beside) / made.name))
                (Path(beside) / made.name).replace(made)
        except Exception as error:  # whatever transformers stumbles on in a folder that it does not know
            raise ModelError("source.no_tokenizer", folder=folder, reason=first_line(error)) from error
    return made


def _from_gguf(name: str, file: Path, tell: Progress) -> BaseSource:
    """A GGUF file, converted once for each content, whatever the file is called."""
    if not file.is_file():
        raise ModelError("source.no_such_file", file=file)
    sha256 = sha256_of(file, tell)
    folder = models_folder() / f"gguf-{sha256[:12]}"
    if not is_intact(folder, progress=tell):
        convert_gguf(file, folder, tell)
    return BaseSource(name, folder, str(folder), None, False)


def _from_hub(name: str, hub_id: str, tell: Progress) -> BaseSource:
    folder = _snapshot_here(hub_id) or _fetch_snapshot(hub_id, tell)
    _check_folder(folder)
    # huggingface_hub names a snapshot's folder by its commit.
    return BaseSource(name, folder, hub_id, folder.name, False)


def _snapshot_here(hub_id: str) -> Path | None:
    """The complete snapshot of a hub model in the local cache; asks no one."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(hub_id, local_files_only=True, **_selection()))
    except (OSError, ValueError):  # not in the cache, or cut off half-way
        return None
    return folder if _is_complete(folder) else None


def _fetch_snapshot(hub_id: str, tell: Progress) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    tell("fetch", 0, 0)
    try:
        _await_hub(hub_id)
        return Path(snapshot_download(hub_id, **_selection()))
    except GatedRepoError as error:
        raise ModelError("source.gated", hub_id=hub_id) from error
    except RepositoryNotFoundError as error:
        raise ModelError("source.not_on_hub", hub_id=hub_id) from error
    except Exception as error:  # its HTTP library's errors, which is not always the same library
        raise ModelError("source.hub_unreachable", hub_id=hub_id, reason=_why(error)) from error


def _await_hub(hub_id: str) -> None:
    """Return once the hub answers for this model. Raises: TimeoutError after 8 s, or what huggingface_hub raises.

    `snapshot_download` waits for ever for a hub that takes the connection and stays silent (huggingface_hub 2.4), and a
    socket's own limit counts for each of the hub's addresses anew.
    """
    from huggingface_hub import HfApi

    answers: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            HfApi().model_info(hub_id, timeout=HUB_SECONDS)
            answers.put(None)
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=HUB_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"{HUB_SECONDS:.0f} s") from None
    if answer is not None:
        raise answer


def _selection() -> dict[str, Any]:
    """The files we take: safetensors and text of the top folder, never pickled weights or code."""
    return {"allow_patterns": HUB_FILES, "ignore_patterns": ["*/*"]}


def _is_complete(folder: Path) -> bool:
    try:
        _check_folder(folder)
    except (ModelError, OSError):  # in the hub's cache a link whose file is gone stands like a file
        return False
    return True


def _check_folder(folder: Path) -> None:
    """Refuse a folder that is not a whole model in safetensors, and say what it is instead."""
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise ModelError("source.is_adapter", folder=folder)
    if not (folder / "config.json").is_file():
        raise ModelError("source.no_config", folder=folder)
    if (folder / "adapter_config.json").is_file():  # transformers would put the adapter on, or open the base it names
        raise ModelError("source.adapter_beside", folder=folder)
    config = _read_config(folder / "config.json")
    weights = {file.name for file in folder.glob("*.safetensors")}
    if not weights:
        pickled = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLED)
        if pickled:
            raise ModelError("source.pickled_only", folder=folder, files=", ".join(pickled))
        raise ModelError("source.no_weights", folder=folder)
    missing = sorted(_shards(folder) - weights)
    if missing:
        raise ModelError("source.missing_weights", folder=folder, files=", ".join(missing))
    shapes: Shapes = {}
    for name in sorted(weights):
        shapes |= read_shapes(folder / name)
    refuse_greater_config(config, shapes, folder / "config.json")


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise ModelError("source.damaged", file=file)
    return config


def _shards(folder: Path) -> set[str]:
    """The weight files that the index of a folder names, if it has one."""
    try:
        index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
        return set(index["weight_map"].values())
    except (OSError, ValueError, KeyError):
        return set()


def _unknown(name: str) -> ModelError:
    if "/" in name or "\\" in name or name.startswith((".", "~")):
        return ModelError("source.no_such_folder", folder=name)
    names, word = [BUILTIN, *SHORT_NAMES], name.lower()
    begun = [full for full in names if word and full.startswith(word)]
    near = (begun or difflib.get_close_matches(word, names, 1, cutoff=0.0))[0]
    return ModelError("source.unknown_name", name=name, near=near, names=", ".join(names))


def _why(error: BaseException) -> str:
    """Why the hub did not answer: the system's refusal at the bottom of it, else the first line of the message."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TimeoutError):
            return text("reason.silence")
        if isinstance(cause, socket.gaierror):
            return text("reason.no_address")
        if type(cause).__name__ == "OfflineModeIsEnabled":
            return text("reason.offline")
        if isinstance(cause, OSError) and cause.errno:
            return reason_of(cause)
        cause = cause.__cause__ or cause.__context__
    return first_line(error)


def first_line(error: BaseException) -> str:
    """The first line of an error's message that has words in it, without the address lists that may follow."""
    return next((line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), type(error).__name__)
