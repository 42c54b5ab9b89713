"""Topics: one summary for posts that are told of the same story, and never one from later."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bsky_assets.news.topics import MOST_ARTICLES, topics_of

START, WINDOW = datetime(2026, 3, 8, tzinfo=UTC), timedelta(days=14)
STORIES = "abc"


def same(one: str, other: str) -> bool:
    return one[0] == other[0]


HOURS = st.integers(-15 * 24, 23)
ARTICLES = st.lists(st.tuples(st.sampled_from(STORIES), HOURS), min_size=1, max_size=30)
POSTS = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 23)), max_size=12)


@hypothesis_settings(max_examples=60, deadline=None)
@given(ARTICLES, POSTS)
def test_a_topic_has_what_was_out_before_each_of_its_posts_and_within_the_window_of_each(
    articles: list[tuple[str, int]], posts: list[tuple[int, int]]
) -> None:
    published = {
        f"{story}{number}": START + timedelta(hours=hour)
        for number, (story, hour) in enumerate(articles)
    }
    names, opened, at = [*published], dict[str, str](), dict[str, datetime]()
    for number, (choice, hour) in enumerate(posts):
        article, when = names[choice % len(names)], START + timedelta(hours=hour)
        if when - WINDOW <= published[article] <= when:
            opened[f"at://{number}"], at[f"at://{number}"] = article, when
    topics = topics_of(opened, at, published, WINDOW, same)
    assert topics.keys() == opened.keys()
    for story in STORIES:
        told = [uri for uri, article in opened.items() if article[0] == story]
        fitting = [
            one
            for one, then in published.items()
            if one[0] == story and all(at[uri] - WINDOW <= then <= at[uri] for uri in told)
        ]
        wanted = sorted(fitting, key=lambda one: (published[one], one))[-MOST_ARTICLES:]
        assert all(topics[uri] == wanted for uri in told)
