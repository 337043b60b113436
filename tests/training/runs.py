"""Small runs to be stopped and gone on with: their table, their settings, and what they leave."""

from pathlib import Path
from threading import Event as Flag

from znatok.run_folder import RunFolder, read_lines
from znatok.settings import make_settings
from znatok.training.events import Stepped, TrainingEnded
from znatok.training.loop import resume, train

TABLE = """вопрос;ответ
Что такое резистор?;Резистор — это деталь, она ограничивает ток.
Зачем нужен конденсатор?;Конденсатор запасает заряд, сглаживает напряжение.
Чему равен ток при 12 В и 6 Ом?;Ток равен 2 А.
Как проверить диод?;Прозвоните диод в обе стороны.
Сколько взять?;Хватит 100 мкФ.
"""
LEARNS = {
    "learning_rate": 0.01,
    "num_train_epochs": 2.0,
    "per_device_train_batch_size": 2,
    "warmup_steps": 2,
    "finishing_rounds": 2,
    "scope": "open",
    "r": 4,
}


def write_table(folder: Path) -> Path:
    path = folder / "детали.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def weights(run: Path) -> bytes:
    return (run / "adapter" / "adapter_model.safetensors").read_bytes()


def learned(table, model, run, **asked):
    """A run that nothing stops, to the end of its training."""
    return until(TrainingEnded, train(table, make_settings({"model": str(model)} | LEARNS | asked), run))


def stopped_after(events, stop: Flag, updates: int):
    """Lets a run make so many updates and stops it then; what it told."""
    told = []
    for event in events:
        told.append(event)
        if isinstance(event, Stepped) and updates:
            updates -= 1
        if not updates:
            stop.set()
    return told


def begun(table, model, run, updates, **asked):
    """A run stopped after so many updates."""
    stop = Flag()
    settings = make_settings({"model": str(model)} | LEARNS | asked)
    return stopped_after(train(table, settings, run, stop), stop, updates)


def gone_on(run, updates=None):
    """The run gone on with, to the end of its training, or for so many updates."""
    stop = Flag()
    events = resume(RunFolder(run), stop=stop)
    return until(TrainingEnded, events) if updates is None else stopped_after(events, stop, updates)


def until(kind, events):
    """The events up to the first of this kind; then the run is left."""
    told = []
    for event in events:
        told.append(event)
        if isinstance(event, kind):
            events.close()
            break
    return told


def lines(run: Path, event: str):
    return [record for record in read_lines(run / "metrics.jsonl") if record["event"] == event]
