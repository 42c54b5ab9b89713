"""From a label back to what was asked: the proof that a label is about its post.

And the other way: when a post is deleted its words go from the ledger too, and labels and hashes
stay.
"""

from collections.abc import Iterable
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bsky_assets.contracts import FilteredPost, LlmLabel
from bsky_assets.contracts.labels import LlmAnswer
from bsky_assets.labelling.ledger import Ledger
from bsky_assets.labelling.questions import context_piece, normalise
from bsky_assets.storage.files import staged
from bsky_assets.storage.lake import Lake


def labels_without_their_post(
    con: duckdb.DuckDBPyConnection, lake: Lake, ledger: Ledger, day: date
) -> list[str]:
    """URIs of labels of `day` whose request, as the ledger has it, does not hold their post.

    A question that was forgotten proves nothing either way, and is passed over.
    """
    lake.relation(con, FilteredPost, [day]).create_view("traced_posts", replace=True)
    lake.relation(con, LlmLabel, [day]).create_view("traced_labels", replace=True)
    ledger.relation(con).create_view("traced_answers", replace=True)
    rows = con.sql(
        """
        SELECT label.uri, post.record.text AS text, answer.question->>'text' AS sent
        FROM traced_labels AS label
        LEFT JOIN traced_posts AS post USING (uri)
        LEFT JOIN traced_answers AS answer USING (request_id, slot)
        WHERE answer.question IS DISTINCT FROM '{}'
        """
    )
    return [
        row["uri"]
        for batch in rows.to_arrow_reader(10_000)
        for row in batch.to_pylist()
        if row["text"] is None or row["sent"] != normalise(row["text"])
    ]


def forget(con: duckdb.DuckDBPyConnection, ledger: Ledger, texts: Iterable[str]) -> int:
    """Remove the words of deleted posts from the sealed files of `ledger`.

    A question that has one of `texts` as its text or in its context becomes `{}`; its hash, its
    answers and all else stay. Returns how many rows were changed.

    Raises:
        UnusableDataDirectory: a file cannot be replaced; those before it are.
    """
    gone = {form for text in texts for form in (normalise(text), context_piece(text)) if form}
    con.register("forgotten", pa.table({"text": pa.array(sorted(gone), pa.string())}))
    changed = 0
    for path in ledger.files(LlmAnswer):
        rows = pq.ParquetFile(path).read()
        con.register("forgetting", rows)
        touched = con.sql(
            """
            SELECT list_has_any(
                [question->>'text', question->>'reply_to', question->>'thread_root',
                    question->>'quoted'],
                (SELECT coalesce(list(text), []) FROM forgotten)
            ) AS is_touched
            FROM forgetting
            """
        ).to_arrow_table()["is_touched"]
        if count := pc.sum(touched).as_py():
            column = rows.schema.get_field_index("question")
            blanked = pc.if_else(touched, "{}", rows["question"])
            with staged(path) as fresh:
                changed_rows = rows.set_column(column, rows.schema.field(column), blanked)
                pq.write_table(changed_rows, fresh, compression="zstd")
            changed += int(count)
    return changed
