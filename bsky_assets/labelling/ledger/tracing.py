"""From a label back to what was asked: the proof that a label is about its post.

And the other way: when a post is deleted its words go from the ledger too, and labels and hashes
stay.
"""

from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bsky_assets.contracts import FilteredPost, LlmLabel, Row
from bsky_assets.contracts.codebooks import holds_labels
from bsky_assets.contracts.labels import LlmAnswer
from bsky_assets.labelling.asking.questions import (
    CONTEXT_OF_POSTS,
    context_piece,
    normalise,
    text_hash,
)
from bsky_assets.labelling.embedding.store import VectorStore
from bsky_assets.labelling.ledger.store import Ledger
from bsky_assets.storage.files import staged
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition_sql import contract_in, select_rows
from bsky_assets.storage.sql import literal


def labels_without_their_post(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    ledger: Ledger,
    day: date,
    row: type[Row] = LlmLabel,
) -> list[str]:
    """URIs of labels of `day` whose request, as the ledger has it, does not hold their post.

    A question that was forgotten proves nothing either way, and is passed over.
    """
    lake.relation(con, FilteredPost, [day]).create_view("traced_posts", replace=True)
    lake.relation(con, row, [day]).create_view("traced_labels", replace=True)
    ledger.relation(con).create_view("traced_answers", replace=True)
    rows = con.sql(
        """
        SELECT label.uri, post.record.text AS text, answer.question->>'text' AS sent
        FROM traced_labels AS label
        LEFT JOIN traced_posts AS post USING (uri)
        LEFT JOIN traced_answers AS answer USING (request_id, slot, prompt_version)
        WHERE answer.question IS DISTINCT FROM '{}'
        """
    )
    return [
        row["uri"]
        for batch in rows.to_arrow_reader(10_000)
        for row in batch.to_pylist()
        if row["text"] is None or row["sent"] != normalise(row["text"])
    ]


def forget(con: duckdb.DuckDBPyConnection, lake: Lake, ledger: Ledger, removed: pa.Table) -> int:
    """Remove the words of deleted posts from the sealed files of `ledger`.

    `removed` has uri and text of the posts. A question about such a text becomes `{}`, unless the
    label of a post that stays was made from it; one that had such a text as context loses that
    context. What the model wrote may repeat it: its reason goes, and the raw answer of the whole
    request. Hashes, labels and all else stay, but for vectors of such a text, which go. Returns how
    many questions were changed.

    Raises:
        UnusableDataDirectory: a file cannot be replaced; those before it are.
    """
    texts = pc.unique(removed["text"]).to_pylist()
    gone = {form for text in texts for form in (normalise(text), context_piece(text)) if form}
    VectorStore(ledger.root).forget(map(text_hash, gone))
    con.register("forgotten", pa.table({"text": pa.array(sorted(gone), pa.string())}))
    con.register("leaving", removed.select(["uri"]))
    con.execute("CREATE OR REPLACE TEMP TABLE still_used (request_id VARCHAR, slot VARCHAR)")
    lake.attach(con)
    for row in filter(holds_labels, lake.tables):
        for partition in lake.partitions(row):
            labels = select_rows(contract_in(row, partition), [partition])
            con.execute(
                "INSERT INTO still_used SELECT DISTINCT request_id, slot "
                f"FROM ({labels}) ANTI JOIN leaving USING (uri)"
            )
    return sum(_forget_in(con, path) for path in ledger.files(LlmAnswer))


def _forget_in(con: duckdb.DuckDBPyConnection, path: Path) -> int:
    rows = pq.ParquetFile(path).read()
    numbers = pa.array(range(rows.num_rows), pa.int64())
    con.register("forgetting", rows.append_column("number", numbers))
    contexts = ", ".join(
        f"CASE WHEN question->>{literal(key)} IN (FROM forgotten) THEN '\"{key}\":null' END"
        for key in CONTEXT_OF_POSTS
    )
    left = con.sql(
        f"""
        WITH found AS (
            SELECT number, request_id, question, raw_answer, reason,
                concat_ws(',', {contexts}) AS contexts,
                question = '{{}}' OR (coalesce(question->>'text' IN (FROM forgotten), false)
                AND (request_id, slot) NOT IN (FROM still_used)) AS is_about_one
            FROM forgetting
        )
        SELECT CASE
            WHEN is_about_one THEN '{{}}'
            WHEN contexts <> '' THEN json_merge_patch(question, '{{' || contexts || '}}')::VARCHAR
            ELSE question END AS question,
            CASE WHEN NOT bool_or(is_about_one OR contexts <> '') OVER (PARTITION BY request_id)
            THEN raw_answer END AS raw_answer,
            CASE WHEN NOT is_about_one THEN reason END AS reason
        FROM found ORDER BY number
        """
    ).to_arrow_table()
    fewer_words = rows
    for name in left.column_names:
        column = rows.schema.get_field_index(name)
        fewer_words = fewer_words.set_column(column, rows.schema.field(column), left[name])
    if fewer_words.equals(rows):
        return 0
    with staged(path) as fresh:
        pq.write_table(fewer_words, fresh, compression="zstd")
    changed: int = pc.sum(pc.not_equal(left["question"], rows["question"])).as_py() or 0
    return changed
