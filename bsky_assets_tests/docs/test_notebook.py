"""The notebook of the docs, run as a reader runs it, on a day of the sandbox."""

import base64
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from bsky_assets_tests.support.places import ROOT
from bsky_assets_tests.support.sandbox_day import SandboxDay

pytestmark = pytest.mark.scenario

NOTEBOOK = ROOT / "docs" / "a_day_in_pandas.ipynb"
PLOTS = 3


def test_the_notebook_is_stored_without_what_it_gave() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"]]
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}


def test_the_notebook_reads_a_day_and_draws_it(
    sandbox_day: SandboxDay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BSKY_DATA_DIR", str(sandbox_day.data))
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    folder = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=folder).execute()

    given = [each for cell in notebook.cells for each in cell.get("outputs", ())]
    pictures = [png for each in given if (png := shown(each, "image/png"))]
    assert len(pictures) == PLOTS
    assert all(base64.b64decode(png).startswith(b"\x89PNG") for png in pictures)
    assert given[0]["text"] == f"sync day {sandbox_day.day}\n"
    tables = [table for each in given if (table := shown(each, "text/html"))]
    ((passed, labels),) = sandbox_day.rows(
        "SELECT (SELECT count(*) FROM filtered_posts WHERE passed_filters "
        "AND metadata.source = 'firehose'), "
        "(SELECT count(*) FROM llm_labels WHERE political_ideology = 'left')"
    )
    assert f"<td>{passed}</td>" in tables[0]
    assert f"<td>{labels}</td>" in tables[1]


def shown(output: Any, kind: str) -> str | None:
    """What an output shows as this kind."""
    found: str | None = output.get("data", {}).get(kind)
    return found
