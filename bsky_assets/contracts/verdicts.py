"""The filters as their files declare them, for the columns of their verdicts.

What belongs here: reading the declarations, which are data. What does not: what filters do.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parents[1] / "filters" / "judging"


@cache
def declarations() -> dict[str, dict[str, Any]]:
    """The content of each filter's TOML file by its name, in the order of the chain."""
    found = {path.stem: tomllib.loads(path.read_text()) for path in _FOLDER.glob("*.toml")}
    return dict(sorted(found.items(), key=lambda item: item[1]["filter"]["position"]))
