"""Where parts of a very large day are judged, by BSKY_SPREAD_POSTS and the launcher of its job.

Dagster is not known here: this runs in jobs.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date

from bsky_assets.filters.elsewhere import Elsewhere
from bsky_assets.launching import ray_tasks, slurm_tasks
from bsky_assets.launching.tasks import Start, Tell
from bsky_assets.settings import LauncherName, Settings

_ENGINES: dict[LauncherName, Callable[[Settings, date, Tell], AbstractContextManager[Start]]] = {
    "slurm": slurm_tasks.tasks,
    "ray": ray_tasks.tasks,
}


@contextmanager
def elsewhere(settings: Settings, day: date, tell: Tell) -> Iterator[Elsewhere | None]:
    """Where parts of `day` are judged besides in its job; None if nowhere.

    Raises:
        UserError: the launcher cannot be used from here.
    """
    engine = _ENGINES.get(settings.launcher)
    if settings.spread_posts is None or engine is None:
        yield None
        return
    with engine(settings, day, tell) as start:
        yield Elsewhere(start, settings.spread_posts, tell)
