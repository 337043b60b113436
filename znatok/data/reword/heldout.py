"""The wordings of the exam's set `reworded`: whole frames around the question, none of which is ever trained."""

from znatok.data.reword.exact import lower_first
from znatok.data.reword.language import language_of

FRAMES = {
    "ru": (
        "Подскажи, пожалуйста: {q}",
        "Не могу разобраться сам. {Q} Помоги понять.",
        "Для новичка, коротко и ясно: {q}",
        "{Q} Спрашиваю для школьного доклада.",
        "Объясни простыми словами: {q}",
        "Друг спросил меня: «{Q}» Что ему ответить?",
    ),
    "en": (
        "Could you please explain: {q}",
        "I cannot work this out myself. {Q} Help me understand.",
        "For a beginner, short and clear: {q}",
        "{Q} It is for a school report.",
        "Explain in simple words: {q}",
        "A friend asked me: “{Q}” What should I tell him?",
    ),
}


def heldout_wording(question: str, number: int) -> str:
    """`question` in a frame that training never uses; row `number` picks which. Never the question itself."""
    frames = FRAMES[language_of(question)]
    return frames[number % len(frames)].format(Q=question, q=lower_first(question))
