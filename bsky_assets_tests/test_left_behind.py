"""What one file of tests changes for the others is found out."""

import pytest

from bsky_assets.bluesky import spool
from bsky_assets.bluesky.relay import Relay
from bsky_assets_tests.support.left_behind import nothing_left_behind


@pytest.mark.parametrize(("scope", "name"), [(spool, "COMMIT_SECONDS"), (Relay, "patience")])
def test_a_constant_that_is_left_changed_is_named(
    monkeypatch: pytest.MonkeyPatch, scope: object, name: str
) -> None:
    with pytest.raises(AssertionError, match=name), nothing_left_behind():
        monkeypatch.setattr(scope, name, 0.25)


def test_one_that_is_put_back_is_nobodys_concern() -> None:
    with nothing_left_behind(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "COMMIT_SECONDS", 0.25)
