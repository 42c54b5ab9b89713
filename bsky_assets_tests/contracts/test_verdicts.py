"""The columns of verdicts, as the filters' files declare them."""

from bsky_assets.contracts.verdicts import declarations, heads


def test_the_head_of_a_filters_file_is_its_table_as_the_whole_file_has_it() -> None:
    assert heads() == {name: whole["filter"] for name, whole in declarations().items()}
    positions = [head["position"] for head in heads().values()]
    assert positions == sorted(positions)
    assert len(positions) >= 5
