"""The option by which a command is about the labels of a codebook of one's own."""

from typing import Annotated

import typer

OfCodebook = Annotated[
    str | None,
    typer.Option("--codebook", metavar="NAME", help="Of a codebook of yours; default: llm_labels."),
]
