"""A two-layer llama as a GGUF file, with its own tiny vocabulary, for the tests of conversion."""

from pathlib import Path

import numpy as np

VOCABULARY = 272
CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] + '<|im_end|>' }}{% endfor %}"


def write_tiny_gguf(file: Path, quantised: bool = True) -> None:
    """Width 32, 2 layers, 4 heads on 2 key-value heads, 272 byte-level BPE words, Q8_0 or float32."""
    import gguf

    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_name("tiny")
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    _add_tokenizer(writer)
    numbers = np.random.default_rng(0)

    def add(name: str, *shape: int) -> None:
        values = numbers.standard_normal(shape).astype(np.float32)
        if quantised and len(shape) == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, values)

    add("token_embd.weight", VOCABULARY, 32)
    add("output_norm.weight", 32)
    for layer in range(2):
        add(f"blk.{layer}.attn_norm.weight", 32)
        add(f"blk.{layer}.ffn_norm.weight", 32)
        for name, rows in {"attn_q": 32, "attn_k": 16, "attn_v": 16, "attn_output": 32}.items():
            add(f"blk.{layer}.{name}.weight", rows, 32)
        add(f"blk.{layer}.ffn_gate.weight", 64, 32)
        add(f"blk.{layer}.ffn_up.weight", 64, 32)
        add(f"blk.{layer}.ffn_down.weight", 32, 64)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer) -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    merges = ["a b", "b c", "c d", "d e"]
    words = control + sorted(ByteLevel.alphabet()) + [merge.replace(" ", "") for merge in merges]
    words += [f"<unused{number}>" for number in range(VOCABULARY - len(words))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types([3] * len(control) + [1] * (len(words) - len(control)))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(CHAT_TEMPLATE)
