"""From a label back to what was asked: the proof that a label is about its post."""

from datetime import date

import duckdb

from bsky_assets.contracts import FilteredPost, LlmLabel
from bsky_assets.labelling.ledger import Ledger
from bsky_assets.labelling.questions import normalise
from bsky_assets.storage.lake import Lake


def labels_without_their_post(
    con: duckdb.DuckDBPyConnection, lake: Lake, ledger: Ledger, day: date
) -> list[str]:
    """URIs of labels of `day` whose request, as the ledger has it, does not hold their post."""
    lake.relation(con, FilteredPost, [day]).create_view("traced_posts", replace=True)
    lake.relation(con, LlmLabel, [day]).create_view("traced_labels", replace=True)
    ledger.relation(con).create_view("traced_answers", replace=True)
    rows = con.sql(
        """
        SELECT label.uri, post.record.text AS text, answer.question->>'text' AS sent
        FROM traced_labels AS label
        LEFT JOIN traced_posts AS post USING (uri)
        LEFT JOIN traced_answers AS answer USING (request_id, slot)
        """
    )
    return [
        row["uri"]
        for batch in rows.to_arrow_reader(10_000)
        for row in batch.to_pylist()
        if row["text"] is None or row["sent"] != normalise(row["text"])
    ]
