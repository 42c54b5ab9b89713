"""Work tells how far it is in one way, whatever it works on."""

import pytest

from bsky_assets.commands.progress import shown
from bsky_assets.contracts.progress import Progress


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress("today", 250, unit="items"), "today: 250 items"),
        (Progress("reading", 1_500, 2_000, unit="rows"), "reading: 1,500 of 2,000 rows"),
        (
            Progress("llama3.1:8b", 40, 100, per_second=20.0),
            "llama3.1:8b: 40 of 100 posts, 20.0 a second, 3 s left",
        ),
        (Progress("m", 0, 9, per_second=0.0), "m: 0 of 9 posts, 0.0 a second"),
        (
            Progress("firehose", 9, unit="events", note="2 posts, 3 events/s"),
            "firehose: 9 events, 2 posts, 3 events/s",
        ),
    ],
)
def test_a_line_says_how_much_is_done_and_what_is_known_besides(
    progress: Progress, line: str
) -> None:
    assert str(progress) == line


def test_without_a_terminal_a_line_tells_when_all_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with shown() as tell:
        for done in range(4):
            tell(Progress("reading", done, 3, unit="rows"))
    assert capsys.readouterr().err == "reading: 3 of 3 rows\n"
