"""A bucket on loopback, with a prefix for each test."""

from collections.abc import Iterator

import pytest

BUCKET = "posts-lake"


@pytest.fixture(scope="session")
def bucket_endpoint() -> Iterator[str]:
    """Who serves the bucket; each test has a prefix of its own in it."""
    from testbed.object_storage import bucket

    with bucket(BUCKET) as url:
        yield url
