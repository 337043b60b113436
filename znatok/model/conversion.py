"""A GGUF file made into plain weights: safetensors, config, tokenizer and a manifest of their hashes.

Everything is written beside and renamed, so that a killed process, or a second one at work on the same model, leaves
nothing half-written in its place.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from znatok.errors import ModelError, reason_of
from znatok.model.machine import cache_folder
from znatok.model.weight_files import read_shapes

# Told as (stage, bytes done, bytes in all); stages: "fetch", "verify", "convert".
Progress = Callable[[str, int, int], None]

MANIFEST = "manifest.json"
CONVERSION = 1  # counts up when the converted files change, so that older caches are made again
POLL_SECONDS = 0.2
CHUNK_BYTES = 1 << 24
_SCRATCH_PREFIX = "unfinished-"
_DAY_SECONDS = 86_400


def convert_gguf(gguf: Path, folder: Path, progress: Progress | None = None) -> None:
    """Write the model in the file `gguf` as float32 safetensors, config and tokenizer into `folder`, with a manifest.

    A process of its own does it: it needs 1.2 GB for a moment, which would spoil the peak memory that a run reports.
    Raises: ModelError where the file is damaged, or transformers cannot read it.
    """
    tell = progress or silent
    total = gguf.stat().st_size
    read_shapes(gguf)
    with scratch_folder() as scratch:
        made = Path(scratch) / "model"
        code = "import sys; from znatok.model.conversion import dequantise; dequantise(*sys.argv[1:])"
        paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        try:
            command = [sys.executable, "-c", code, str(_alone(gguf, Path(scratch))), str(made)]
        except OSError as error:
            raise ModelError("builtin.cannot_convert", file=gguf, reason=reason_of(error)) from error
        alone = {"PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
        failed, log = run_watched(command, Path(scratch), alone, lambda: tell("convert", 0, total))
        if failed:
            raise ModelError("builtin.cannot_convert", file=gguf, reason=(log.splitlines() or ["?"])[-1])
        try:
            _write_manifest(made)
            _put(made, folder)
        except OSError as error:
            raise ModelError("builtin.cannot_convert", file=gguf, reason=reason_of(error)) from error
    tell("convert", total, total)


def dequantise(gguf: str, folder: str) -> None:
    """Write the model of a GGUF file into `folder` in float32. For a process of its own: it alters the gguf package.

    Q4_1 stores scale * quant + minimum: of SmolLM2's values 58 % are exact in float16 and 21 % in bfloat16, so both
    would change the model.
    """
    import functools

    import gguf as gguf_package

    # transformers reads the 98,000 words of the file three times and makes its table of names 397 times. Once each is
    # enough: 14 s instead of 23 on two cores. Where a later transformers asks otherwise, this does nothing.
    gguf_package.GGUFReader = functools.cache(gguf_package.GGUFReader)
    gguf_package.get_tensor_name_map = functools.cache(gguf_package.get_tensor_name_map)

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source, target = Path(gguf), Path(folder)
    place: dict[str, Any] = {"gguf_file": source.name, "local_files_only": True, "trust_remote_code": False}
    plain = GgufConfig(dequantize=True)  # the weights stay packed unless told otherwise
    model = AutoModelForCausalLM.from_pretrained(source.parent, quantization_config=plain, dtype=torch.float32, **place)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source.parent, **place).save_pretrained(target)
    # What the converter wrote about itself: a title that is no model's address, and how the tokenizer was opened.
    _without(target / "config.json", "_model_name_or_path")
    _without(target / "tokenizer_config.json", "is_local", "local_files_only")


def _alone(gguf: Path, scratch: Path) -> Path:
    """The same file in a folder where nothing else lies: transformers would open what is beside it, an adapter say."""
    folder = scratch / "alone"
    folder.mkdir()
    try:
        os.link(gguf, folder / gguf.name)
    except OSError:  # on another disk, or on one that knows no second names
        shutil.copyfile(gguf, folder / gguf.name)
    return folder / gguf.name


def is_intact(folder: Path, verify: bool = True, progress: Progress | None = None) -> bool:
    """Whether `folder` holds every file of its manifest in full; with `verify`, to the bit."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = {folder / name: (int(bytes_), str(sha256)) for name, (bytes_, sha256) in manifest["files"].items()}
        if manifest["conversion"] != CONVERSION or any(f.stat().st_size != bytes_ for f, (bytes_, _) in files.items()):
            return False
        return not verify or all(sha256_of(file, progress) == sha256 for file, (_, sha256) in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def sha256_of(file: Path, progress: Progress | None = None) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    tell, digest, total, done = progress or silent, hashlib.sha256(), file.stat().st_size, 0
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with file.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
            done += count
            tell("verify", done, total)
    return digest.hexdigest()


def models_folder() -> Path:
    """Where converted models are kept; made when it is not there. Raises: ModelError where it cannot be made."""
    folder = cache_folder() / "models"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError("builtin.cannot_write", folder=folder, reason=reason_of(error)) from error
    return folder


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder of our own beside the converted models, removed at the end; what killed processes left goes too."""
    for old in models_folder().glob(f"{_SCRATCH_PREFIX}*"):
        with suppress(OSError):  # its owner has just removed it
            if time.time() - old.stat().st_mtime > _DAY_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=_SCRATCH_PREFIX, dir=models_folder(), ignore_cleanup_errors=True)


def run_watched(
    command: list[str], scratch: Path, environment: dict[str, str], watch: Callable[[], None]
) -> tuple[int, str]:
    """Run a command to its end, calling `watch` every 0.2 s: its exit code and all it said."""
    log = scratch / "log.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        )
    try:
        while True:
            watch()
            try:
                code = process.wait(timeout=POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
    finally:  # Ctrl-C here must not leave it running
        if process.poll() is None:
            process.kill()
            process.wait()
    return code, log.read_text(encoding="utf-8", errors="replace").strip()


def _without(file: Path, *names: str) -> None:
    tree = json.loads(file.read_text(encoding="utf-8"))
    for name in names:
        tree.pop(name, None)
    file.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_manifest(folder: Path) -> None:
    files = {file.name: [file.stat().st_size, sha256_of(file)] for file in sorted(folder.iterdir())}
    text = json.dumps({"conversion": CONVERSION, "files": files}, indent=1)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _put(made: Path, folder: Path) -> None:
    """Rename `made` to `folder`. Where another process was first, its folder is as good and stays."""
    try:
        os.replace(made, folder)
    except OSError:
        if not is_intact(folder):
            os.replace(folder, made.with_name("damaged"))
            os.replace(made, folder)


def silent(stage: str, done: int, total: int) -> None:
    """Tell no one."""
