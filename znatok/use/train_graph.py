"""The training graph: losses and the exact share over steps, from a run's metrics."""

import io
import math

from znatok.messages import text
from znatok.run_folder import RunFolder, read_lines, write_bytes


def draw(run: RunFolder, validation: str) -> None:
    """Writes `train_graph.png`. validation: the set that the held-out loss was measured on."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    records = list(read_lines(run.metrics))
    steps = [record for record in records if record["event"] == "stepped"]
    validated = [record for record in records if record["event"] == "validated"]
    known = [record for record in steps if record["exact"] is not None]

    figure = Figure(figsize=(9, 5), layout="constrained")
    losses = figure.subplots()
    losses.plot([one["step"] for one in steps], [one["loss"] for one in steps], color="C0", alpha=0.25, linewidth=0.8)
    smooth = _smoothed([one["loss"] for one in steps])
    losses.plot([one["step"] for one in steps], smooth, color="C0", label=text("graph.train"))
    losses.plot(
        [one["step"] for one in validated],
        [one["loss"] for one in validated],
        "o-",
        color="C1",
        markersize=4,
        label=text(f"graph.validation.{validation}"),
    )
    losses.set_xlabel(text("graph.step"))
    losses.set_ylabel(text("graph.loss"))
    losses.set_ylim(bottom=0)
    shares = losses.twinx()
    shares.plot([one["step"] for one in known], [one["exact"] for one in known], color="C2", label=text("graph.exact"))
    shares.set_ylabel(text("graph.exact_axis"))
    shares.set_ylim(0, 1.02)
    losses.set_title(text("graph.title", run=run.path.name))
    lines = [*losses.get_lines()[1:], *shares.get_lines()]
    losses.legend(lines, [str(line.get_label()) for line in lines], loc="center right")
    losses.grid(alpha=0.2)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=120, format="png")
    write_bytes(run.graph, picture.getvalue())


def _smoothed(values: list[float]) -> list[float]:
    """A running mean over about a thirtieth of the run."""
    keep = math.exp(-1 / max(1.0, len(values) / 30))
    smooth: list[float] = []
    for value in values:
        smooth.append(value if not smooth else keep * smooth[-1] + (1 - keep) * value)
    return smooth
