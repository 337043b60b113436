"""A base model's weights, loaded as they are to be held: in full, or in 4 or 8 bits."""

import logging
from collections.abc import Iterable

import torch

from znatok.errors import ModelError
from znatok.model.llama import load_llama
from znatok.model.network import Dtype, Network, Quantization
from znatok.model.source import BaseSource


def load_network(
    source: BaseSource,
    dtype: Dtype,
    device: str,
    quantization: Quantization = "none",
    seed: int = 0,
    *,
    targets: Iterable[str] = (),
    drops: bool = False,
) -> Network:
    """The base model's weights on `device`, frozen. `seed` settles the adapter's first weights and dropout.

    targets, drops: of the adapter that will be put on: on which layers, and whether it drops inputs while it trains.
    What we cannot hold ourselves, or train by ourselves, transformers loads; its import alone takes seconds.

    Raises ModelError where transformers does not know the model, or some of its weights are not there.
    """
    # On some CPUs it warns, once imported, of a package that we do without (and that would ask a network for code).
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    torch.manual_seed(seed)
    model = None
    if not drops and not any(name.endswith("lm_head") for name in targets):
        model = load_llama(source.folder, getattr(torch, dtype), device, quantization)
    if model is not None:
        return Network(model, source, quantization)
    return load_by_transformers(source, dtype, device, quantization, seed)


def load_by_transformers(
    source: BaseSource, dtype: Dtype, device: str, quantization: Quantization = "none", seed: int = 0
) -> Network:
    """The same with transformers' own model, whose forward pass knows dropout and every architecture."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig, GenerationConfig
    from transformers.utils import logging as talk

    torch.manual_seed(seed)
    talk.disable_progress_bar()
    talk.set_verbosity_error()
    quantization_config = None
    if quantization == "nf4":
        quantization_config = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=getattr(torch, dtype)
        )
    elif quantization == "int8":
        quantization_config = BitsAndBytesConfig(load_in_8bit=True)
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            str(source.folder),
            dtype=getattr(torch, dtype),
            device_map={"": device} if quantization_config or device != "cpu" else None,
            quantization_config=quantization_config,
            attn_implementation="sdpa",
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever transformers stumbles on in a folder that it does not know
        raise ModelError("source.cannot_load", folder=source.folder) from error
    if absent := sorted(found["missing_keys"]):
        # transformers would give them random values and go on.
        raise ModelError("source.absent_weights", folder=source.folder, count=len(absent), name=absent[0])
    # What the base's makers set for sampling (a penalty for repetition, say) would seep into greedy decoding.
    model.generation_config = GenerationConfig()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model.eval()
    return Network(model, source, quantization)
