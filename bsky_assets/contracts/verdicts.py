"""The filters as their files declare them, for the columns of their verdicts.

What belongs here: reading the declarations, which are data. What does not: what filters do.
"""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parents[1] / "filters" / "judging"
_HEAD = re.compile(r"^\[filter\]$.*?(?=^\[|\Z)", re.DOTALL | re.MULTILINE)


@cache
def heads() -> dict[str, dict[str, Any]]:
    """The table `filter` of each filter's file by its name, in the order of the chain.

    The rest is not parsed: thousands of words, which contracts do not need.
    """
    found = {}
    for path in _FOLDER.glob("*.toml"):
        if head := _HEAD.search(path.read_text()):
            found[path.stem] = tomllib.loads(head[0])["filter"]
    return dict(sorted(found.items(), key=lambda item: item[1]["position"]))


@cache
def declarations() -> dict[str, dict[str, Any]]:
    """The content of each filter's TOML file by its name, in the order of the chain."""
    return {name: tomllib.loads((_FOLDER / f"{name}.toml").read_text()) for name in heads()}
