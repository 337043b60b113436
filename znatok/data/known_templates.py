"""The chat templates that our short names have, as what they put around questions and answers.

What a template renders is compared, not how it is written: its fragments are all that we ever use of it.
"""

from znatok.data.render import Template

_USER, _ASSISTANT = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
_EMPTY_SYSTEM = "<|im_start|>system\n<|im_end|>\n"
_NO_THOUGHTS = "<think>\n\n</think>\n\n"
_LLAMA_USER = "<|start_header_id|>user<|end_header_id|>\n\n"
_LLAMA_ASSISTANT = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
_LLAMA_DATES = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
_LLAMA_SYSTEM = f"<|start_header_id|>system<|end_header_id|>\n\n{_LLAMA_DATES}<|eot_id|>"
_ZEPHYR_ASSISTANT = "</s>\n<|assistant|>\n"
_GEMMA_MODEL = "<end_of_turn>\n<start_of_turn>model\n"

# opening, question_open, answer_open, past_answer_open, end_of_turn, gap
KNOWN = {
    "SmolLM2, Qwen2.5": Template(_EMPTY_SYSTEM, _USER, _ASSISTANT, _ASSISTANT, "<|im_end|>", "\n"),
    "ChatML": Template("", _USER, _ASSISTANT, _ASSISTANT, "<|im_end|>", "\n"),
    "Qwen3": Template("", _USER, _ASSISTANT + _NO_THOUGHTS, _ASSISTANT, "<|im_end|>", "\n"),
    "TinyLlama": Template("", "<|user|>\n", _ZEPHYR_ASSISTANT, _ZEPHYR_ASSISTANT, "</s>", "\n"),
    "Llama 3": Template("<|begin_of_text|>", _LLAMA_USER, _LLAMA_ASSISTANT, _LLAMA_ASSISTANT, "<|eot_id|>", ""),
    "Llama 3.2": Template(
        "<|begin_of_text|>" + _LLAMA_SYSTEM, _LLAMA_USER, _LLAMA_ASSISTANT, _LLAMA_ASSISTANT, "<|eot_id|>", ""
    ),
    "Gemma 3": Template("<bos>", "<start_of_turn>user\n", _GEMMA_MODEL, _GEMMA_MODEL, "<end_of_turn>", "\n"),
}


def is_known(template: Template) -> bool:
    """Whether a model of one of our short names, or plain ChatML, frames a conversation like this."""
    return template in KNOWN.values()


def as_one_line(template: Template, question: str, answer: str) -> str:
    """A turn as the template frames it, each line break shown as ⏎."""
    framed = template.opening + template.question_open + question + template.answer_open + answer + template.end_of_turn
    return framed.replace("\r", "").replace("\n", "⏎")
