"""A two-layer chat model made in memory, with a tokenizer of its own: what most tests train."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from znatok.data.batch import make_batch
from znatok.data.render import Renderer, read_template
from znatok.model.network import Network
from znatok.model.source import BaseSource
from znatok.records import Rendered

PEFT_TALKS = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The PEFT config's `base_model_name_or_path` was renamed:UserWarning"),
]
"""What PEFT says when an adapter is put on. A test module that does so sets `pytestmark = PEFT_TALKS`."""

CONTROL = ("<|im_end|>", "<|im_start|>", "<|endoftext|>")
CHATML = """\
{% for message in messages %}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
{% endif %}
"""
TEXT = (
    "Что такое резистор? Резистор — это деталь, она ограничивает ток. Чему равен ток при 12 В и 6 Ом? Ток равен 2 А.",
    "Зачем нужен конденсатор? Конденсатор запасает заряд, сглаживает напряжение. Сколько взять? Хватит 100 мкФ.",
    "Как проверить диод? Прозвоните диод в обе стороны: ток идёт только в одну. Чем опасна молния? Она бьёт до 30 кА.",
    "What is a resistor? A resistor is a part that limits the current. How much is the current? The current is 2 A.",
    "What is a capacitor for? A capacitor stores charge and smooths the voltage. How large should it be? Take 100 µF.",
)


@cache
def tiny_tokenizer() -> str:
    """The text of a `tokenizer.json`: byte-level BPE with ChatML's control tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=list(CONTROL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return str(tokenizer.to_str())


def tiny_renderer() -> Renderer:
    """ChatML around questions and answers, in the tiny tokenizer's ids."""
    tokens = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    return Renderer(tiny_tokenizer(), read_template(CHATML, tokens, CONTROL))


def tiny_network(seed: int = 0) -> tuple[Network, Renderer]:
    """A frozen Llama of two layers with random weights in float32 on the CPU, and its renderer. No adapter yet."""
    # On a busy machine two threads wait for each other far longer than such a model computes.
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=Tokenizer.from_str(tiny_tokenizer()).get_vocab_size(),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=128,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        # Wider than usual: with the head frozen at 0.02 no logit could ever stand out.
        initializer_range=0.2,
        bos_token_id=2,
        eos_token_id=0,
        attn_implementation="sdpa",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.requires_grad_(False)
    model.eval()
    source = BaseSource("tiny", Path("tiny"), "znatok/tiny", None, False)
    return Network(model, source), tiny_renderer()


def teach(network: Network, rows: Sequence[Rendered], steps: int, learning_rate: float = 0.01) -> None:
    """Trains the network's adapter on all `rows` at once; ten steps are enough for three short rows."""
    batch = make_batch(rows)
    optimizer = torch.optim.AdamW(network.weights(), lr=learning_rate)
    network.train()
    for _ in range(steps):
        (network.score(batch).loss / len(batch.target_N)).backward()
        optimizer.step()
        optimizer.zero_grad()
    network.use()


def tiny_folder(path: Path) -> Path:
    """The tiny model as a folder that `--model` takes: weights, config, tokenizer, chat template."""
    path.mkdir(parents=True, exist_ok=True)
    for name, content in _tiny_files().items():
        (path / name).write_bytes(content)
    return path


@cache
def _tiny_files() -> dict[str, bytes]:
    logging.disable_progress_bar()  # transformers would draw it into the output that is tested
    network, _ = tiny_network()
    names = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    with TemporaryDirectory() as folder:
        network._base.save_pretrained(folder)
        saved = {file.name: file.read_bytes() for file in Path(folder).iterdir()}
    texts = {
        "tokenizer.json": tiny_tokenizer(),
        "tokenizer_config.json": json.dumps(names),
        "chat_template.jinja": CHATML,
    }
    return saved | {name: text.encode() for name, text in texts.items()}
