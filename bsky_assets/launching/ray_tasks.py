"""Tasks of the Ray cluster that runs the job of the day.

Ray gives a job its cluster's address, and its tasks the environment that the job was given.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from bsky_assets.errors import UserError
from bsky_assets.launching.tasks import BEGUN, PATIENCE_SECONDS, Start, Tell
from bsky_assets.settings import Settings

_OF_A_JOB = "entrypoint_"
"""What Ray's options of a job are called, and those of a task are not."""


def _messages(question: bytes) -> Iterator[bytes]:
    """What a task says: that it has begun, and its answer."""
    yield BEGUN
    from bsky_assets.filters.elsewhere import answer

    yield answer(question)


class _Task:
    def __init__(self, messages: Any, tell: Tell) -> None:
        self._messages, self._tell = messages, tell
        self._patient_until = time.monotonic() + PATIENCE_SECONDS

    def answer(self) -> bytes | None:
        """What it answered; None if no node has begun with it, or it was lost."""
        import ray
        from ray.exceptions import RayError

        patience = max(0.0, self._patient_until - time.monotonic())
        begun, _ = ray.wait([self._messages], timeout=patience)
        if not begun:
            ray.cancel(self._messages, force=True)
            return None
        try:
            *_, found = map(ray.get, self._messages)
        except RayError as error:
            self._tell(f"a task was lost: {' '.join(str(error).split())}")
            return None
        return bytes(found)


@contextmanager
def tasks(settings: Settings, day: date, tell: Tell) -> Iterator[Start]:
    """Starts tasks; Ray ends those that are left over with the job.

    Raises:
        UserError: Ray is not installed here.
    """
    try:
        import ray
    except ImportError as error:
        raise UserError(
            f"BSKY_SPREAD_POSTS is set, and Ray is not installed ({error}); "
            "install it with pip install '.[ray]'"
        ) from None
    # A lost task is not Ray's to start again: it might wait for this job's own place.
    remote = ray.remote(max_retries=0, **_options(settings))(_messages)

    def start(question: bytes) -> _Task:
        if not ray.is_initialized():
            ray.init(address="auto")
        return _Task(remote.remote(question), tell)

    try:
        yield start
    finally:
        ray.shutdown()


def _options(settings: Settings) -> dict[str, Any]:
    """What a task needs: as much as the job."""
    return {
        name.removeprefix(_OF_A_JOB): value
        for name, value in settings.ray_options.items()
        if name.startswith(_OF_A_JOB)
    }
