"""How often a wording is promoted that does not help, and how often one is found that does.

    python -m benchmarks.optimise_simulated [RUNS] [POSTS]

Each run is a whole search with a simulated model (`testbed.simulated_wordings`), with posts of its
own. Beside what the sealed test promotes stands what the score it was chosen by would have.
"""

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bsky_assets.labelling.optimising.optimise import Plan, optimise
from testbed.simulated_wordings import ADVICE, CODEBOOK, SimulatedModel, coded_posts

GAIN = 0.15


def main(runs: int = 200, posts: int = 300) -> None:
    """Print what was found, and last one line of JSON."""
    started = time.monotonic()
    told: dict[str, float] = {}
    for name, gain in (("no wording helps", 0.0), ("a wording helps", GAIN)):
        by_score = promoted = rightly = 0
        for seed in range(runs):
            model = SimulatedModel(seed, gain=gain)
            with TemporaryDirectory() as folder:
                coded = coded_posts(posts, seed)
                outcome = optimise(model, CODEBOOK, coded, Path(folder), Plan("simulated", 10))
            by_score += outcome.candidate is not None
            promoted += outcome.promoted is not None
            has_advice = outcome.candidate and ADVICE in outcome.candidate.wording["instructions"]
            rightly += bool(outcome.promoted and has_advice)
        told |= {
            f"{name}: better by score": by_score / runs,
            f"{name}: promoted": promoted / runs,
            f"{name}: promoted, and helps": rightly / runs,
        }
    for name, share in told.items():
        print(f"{name:45} {share:.3f}")
    seconds = round(time.monotonic() - started, 1)
    head = {"name": "optimise_simulated", "runs": runs, "posts": posts, "gain": GAIN}
    print(json.dumps({**head, "seconds": seconds, **told}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
