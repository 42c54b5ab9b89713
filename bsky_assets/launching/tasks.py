"""What the engines' ways of starting tasks have in common.

A task judges a part of a day on another node than that of the day's job. What does not belong
here: what it is asked, and what is done where there is no answer, which `filters.elsewhere` knows.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bsky_assets.filters.elsewhere import Task

BEGUN = b"begun\n"
"""What a task says first, once a node has begun with it; a whole line, which srun passes on."""
PATIENCE_SECONDS = 5.0
"""So long a node has to begin with a task, before the job does the work itself."""

Tell = Callable[[str], None]
Start = Callable[[bytes], "Task"]
