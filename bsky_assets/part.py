"""`python -m bsky_assets.part`: judge a part of a day, asked over standard input.

This is what a task of Slurm runs. Its answer goes to standard output, after a line at the start
that says that a node has begun; whatever else is printed goes to standard error.
"""

import os
import sys

from bsky_assets.launching.tasks import BEGUN


def main() -> None:
    """Answer the question on standard input."""
    # A library that prints must not get between the bytes of the answer.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as out:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        out.write(BEGUN)
        out.flush()
        # The models take seconds to load; workers, which import this module too, need no more.
        from bsky_assets.filters.elsewhere import answer

        out.write(answer(sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
