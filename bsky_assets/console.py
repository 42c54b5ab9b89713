"""The terminal: where commands print to."""

from rich.console import Console
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

stdout = Console(highlight=False)
stderr = Console(stderr=True, highlight=False)


def tell_retries() -> None:
    """Let what is tried again be told in a line each."""
    set_on_retry_hooks([_tell_retry])


def _tell_retry(details: RetryDetails) -> None:
    again = f"{details.caused_by}; trying again in {details.wait_for:.1f} s"
    stderr.print(again, markup=False, soft_wrap=True)
