"""A model to talk to, loaded the way it was trained: a run, an adapter in PEFT's format, or a base alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from znatok.answering.confidence import read_calibration
from znatok.answering.guesses import Guesses
from znatok.answering.policies import Judge
from znatok.data.render import Renderer, load_renderer
from znatok.errors import RunError
from znatok.model import machine
from znatok.model.adapter_file import ADAPTER_CONFIG, base_to_open, is_on_another_machine, read_saved_adapter
from znatok.model.base import load_network
from znatok.model.conversion import Progress
from znatok.model.network import Dtype, Network, Quantization
from znatok.model.source import BUILTIN, BaseSource, find_base, is_cached, tokenizer_file
from znatok.run_folder import RunFolder, is_open, read_rows


@dataclass(frozen=True, slots=True)
class Talker:
    """A model ready to answer. `name` is its base's name on the screen; `run` is None where none was asked for.
    `guesses` are there where it was taught rows that can be read."""

    network: Network
    renderer: Renderer
    name: str
    run: RunFolder | None
    guesses: Guesses | None = None


def load_base(name: str, progress: Progress | None = None) -> Talker:
    """The base model called `name`, without an adapter."""
    return _talker(find_base(name, progress), name)


def load_run(
    run: RunFolder, *, base: str | None = None, with_adapter: bool = True, progress: Progress | None = None
) -> Talker:
    """The model that the run trained, in the format and with the threads of its plan.

    base: where the base stands now, if it is not where the plan says.

    Raises RunError where the plan cannot be read, no adapter was saved yet, or it does not fit the base.
    """
    plan = _read_plan(run)
    targets = read_saved_adapter(run.adapter).settings["target_modules"] if with_adapter else ()
    source = find_base(base or plan.name_to_find(run.path), progress)
    _check_same_base(source, plan.public_id, run.path)
    talker = _talker(source, base or plan.name, plan.dtype, plan.quantization, plan.threads, run, targets)
    if not with_adapter:
        return talker
    talker.network.load_adapter(run.adapter)
    return replace(talker, guesses=_guesses(run, talker.renderer, plan.refusal))


def load_adapter_folder(path: Path, *, base: str | None = None, progress: Progress | None = None) -> Talker:
    """The model of a bare PEFT folder: the base that its config names, or `base`, with the adapter on.

    Raises RunError where this is no LoRA adapter in safetensors, it does not fit the base, or it names a base that is
    not to be opened because a file says so.
    """
    saved = read_saved_adapter(path)
    public_id = saved.base
    name = base or base_to_open(public_id, path)
    source = find_base(name, progress)
    _check_same_base(source, public_id, path)
    talker = _talker(source, name, targets=saved.settings["target_modules"])
    talker.network.load_adapter(path)
    return talker


def load_judge(talker: Talker) -> Judge | None:
    """What says how sure the answers of a run's model are; None where it has no calibration, or no rows, to read."""
    if talker.run is None or talker.guesses is None or (calibration := read_calibration(talker.run)) is None:
        return None
    return Judge(talker.guesses.search, talker.renderer, calibration, is_open(talker.run))


def _guesses(run: RunFolder, renderer: Renderer, refusal: str | None) -> Guesses | None:
    try:
        rows = read_rows(run, "trained")
    except (OSError, RunError, KeyError, TypeError):
        return None
    return Guesses(rows, renderer, refusal) if rows else None


def is_adapter_folder(path: Path) -> bool:
    """Whether `path` is an adapter on its own: in PEFT's format, and no part of a run of ours."""
    return (path / ADAPTER_CONFIG).is_file() and not RunFolder(path.absolute().parent).plan.is_file()


def _talker(
    source: BaseSource,
    name: str,
    dtype: Dtype | None = None,
    quantization: Quantization = "none",
    threads: int | None = None,
    run: RunFolder | None = None,
    targets: Sequence[str] = (),
) -> Talker:
    import torch

    cpus = machine.usable_cpus()
    machine.use_cpus(min(threads or cpus, cpus))
    renderer = load_renderer(source.folder, tokenizer_file(source.folder))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = load_network(source, _dtype(dtype, device), device, quantization, targets=targets)
    return Talker(network, renderer, name, run)


def _dtype(planned: Dtype | None, device: str) -> Dtype:
    """The plan's number format, but for one that this machine could use only many times slower (EVIDENCE, trap 3)."""
    if planned == "float32":
        return planned
    if device == "cpu":
        return machine.cpu_dtype().name
    import torch

    return planned or ("bfloat16" if torch.cuda.is_bf16_supported() else "float16")


@dataclass(frozen=True, slots=True)
class _Planned:
    """What a plan says about the base and how it was held."""

    name: str
    public_id: str
    is_builtin: bool
    dtype: Dtype
    quantization: Quantization
    threads: int
    refusal: str | None

    def name_to_find(self, run: Path) -> str:
        """What finds the base again: a hub id or a full path, or the name as it was typed where that is gone.

        Raises RunError where the plan names something on another machine, or a hub model that was never here.
        """
        if self.is_builtin:
            return BUILTIN
        for name in (self.public_id, self.name):
            if not is_on_another_machine(name) and is_cached(name):
                return name
        return base_to_open(self.public_id, run, is_own=True)


def _read_plan(run: RunFolder) -> _Planned:
    try:
        plan = json.loads(run.plan.read_text(encoding="utf-8"))
        source = plan["source"]
        return _Planned(
            str(source["name"]),
            str(source["public_id"]),
            source["is_builtin"],
            plan["dtype"],
            plan["quantization"],
            plan["threads"],
            plan.get("refusal"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError("chat.plan_unreadable", file=run.plan) from error


def _check_same_base(source: BaseSource, public_id: str, folder: Path) -> None:
    """Public names must agree. A local folder may have moved, so only the weights' shapes speak for it."""
    local = Path(source.public_id).is_absolute() or Path(public_id).is_absolute()
    if not local and source.public_id != public_id:
        raise RunError("run.adapter_does_not_fit", folder=folder, model=source.name)
