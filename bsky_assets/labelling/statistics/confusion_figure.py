"""Pictures of how labels agree, as PNG bytes."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np


def confusion_png(
    confusion: Sequence[Sequence[int]],
    classes: Sequence[str],
    *,
    title: str,
    rows: str,
    columns: str,
) -> bytes:
    """A confusion matrix: colours are shares of a row, numbers are counts."""
    from matplotlib.figure import Figure  # which takes a second to import

    counts = np.asarray(confusion, dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.75 * len(classes)
    figure = Figure(figsize=(side + 0.8, side), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.6 else "black"
        axes.text(column, row, f"{count:.0f}", ha="center", va="center", color=colour)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, rotation=45, ha="right", parse_math=False)
    axes.set_yticks(ticks, classes, parse_math=False)
    axes.set_xlabel(columns, parse_math=False)
    axes.set_ylabel(rows, parse_math=False)
    axes.set_title(title, fontsize="medium", parse_math=False)
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
