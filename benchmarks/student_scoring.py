"""How long a student takes for a day: texts to vectors to probabilities, and in how much memory.

python -m benchmarks.student_scoring [POSTS]
"""

import random
import sys
import time

from benchmarks.measuring import peak_mb, report
from bsky_assets.analysis.students.training import teach
from bsky_assets.labelling.embedding.packaged import Packaged

POLITICAL = "senate budget vote law protest governor court union tax war border school climate"
OTHER = "garden roses cake cat sofa song game film rain coffee train book friend dream night"
WORDS = f"{POLITICAL} {OTHER}".split()
LESSONS = 2_000


def main(posts: int = 400_000) -> None:
    """Teach on generated texts of 20 words, score `posts` of them, print one line of JSON."""
    dice = random.Random(1)
    texts = [" ".join(dice.choices(WORDS, k=20)) + f" {n}" for n in range(posts)]
    labels = [str(sum(word in POLITICAL for word in text.split()) > 9) for text in texts[:LESSONS]]
    authors = [str(n // 2) for n in range(LESSONS)]
    student = teach(Packaged().embed(texts[:LESSONS]), labels, authors, [0] * LESSONS, "model")
    started = time.monotonic()
    political = 0.0
    for first in range(0, posts, 20_000):
        scores = student.scores(Packaged().embed(texts[first : first + 20_000]))
        political += float(scores[:, student.classes.index("True")].sum())
    seconds = time.monotonic() - started
    report(
        "student_scoring",
        posts=posts,
        seconds=round(seconds, 1),
        posts_a_second=round(posts / seconds),
        peak_mb=peak_mb(),
        share=round(political / posts, 3),
        accuracy=round(student.figures.accuracy, 3),
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
