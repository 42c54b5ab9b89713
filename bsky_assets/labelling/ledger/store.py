"""Every answer of a language model, kept as it comes and never changed.

A running writer appends to a journal of its own, one line a request, and flushes each; when it is
done the journal becomes an immutable Parquet file of the same name. Whoever is killed leaves a
journal whose last line may be torn: it is read up to there, and sealed by whoever comes next.
Writers never share a file, so any number may write at once.
What does not belong here: which answer becomes a label.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from bsky_assets.contracts import Row, arrow_schema
from bsky_assets.contracts.labels import LlmAnswer, LlmPrompt
from bsky_assets.labelling.asking.prompt import Prompt
from bsky_assets.labelling.asking.questions import Question
from bsky_assets.settings import Settings
from bsky_assets.storage.damage import is_damage, reason_of
from bsky_assets.storage.files import staged, sync, unique_id, unusable
from bsky_assets.storage.partition_sql import empty_columns
from bsky_assets.storage.sql import read_parquet
from bsky_assets.sync_day import now

ANSWER = "coalesce(trim(answer, '\"'), political_ideology, 'not_sociopolitical')"
"""SQL for a valid answer as text, of earlier times too."""

SYNC_SECONDS = 1.0
_SYNC_POSTS = 200
"""At the latest after these a journal is on disk, and not only with the operating system."""

_JOURNAL = ".jsonl"
_SEALED = ".parquet"
_LOCK = ".lock"
_FILE = re.compile(rf"sync_day=\d{{4}}-\d\d-\d\d/\w[\w.-]*{_SEALED}")
_ROWS_AT_ONCE = 10_000


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SlotAnswer:
    """What one request brought for one post: the columns of `LlmAnswer` that differ by slot."""

    slot: str
    question_hash: str
    text_hash: str
    question: str
    is_valid: bool
    answer: str | None
    is_sociopolitical: bool | None
    political_ideology: str | None
    confidence: float | None
    reason: str | None
    error: str | None
    attempt: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what came of it: the columns of `LlmAnswer` that its slots share."""

    request_id: str
    raw_answer: str | None
    finish_reason: str | None
    batch_size: int
    model: str
    model_digest: str | None
    answered_by: str | None
    endpoint: str
    system_fingerprint: str | None
    prompt_version: str
    schema_version: str
    sent_prompt_version: str | None
    parameters: str
    temperature: float | None
    response_format: str
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_seconds: float
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """What an answer is known by, besides the question."""

    model: str
    model_digest: str | None
    prompt_version: str
    schema_version: str
    parameters: str


class Ledger:
    """The ledger in one folder."""

    def __init__(self, root: Path) -> None:
        """Look at the ledger in `root`; nothing is created before the first write."""
        self.root = root

    def writer(self, day: date) -> "LedgerWriter":
        """A writer for answers about posts of `day`; use it as a context manager."""
        return LedgerWriter(self._folder(LlmAnswer, day))

    def files(self, row: type[Row]) -> list[Path]:
        """The immutable files of `row` (`LlmAnswer` or `LlmPrompt`), for a catalogue's view.

        They lie in folders named sync_day=YYYY-MM-DD: the day of the posts that were asked about,
        or whose labelling first used a prompt.
        """
        found = (self.root / row.asset).glob(f"sync_day=*/*{_SEALED}")
        return sorted(path for path in found if _FILE.fullmatch(f"{path.parent.name}/{path.name}"))

    def record_prompt(self, prompt: Prompt, day: date) -> None:
        """Keep the text of `prompt` and the answer's schema, unless they are there.

        Of several codebooks that are asked together those of each alone are kept too.
        """
        for part in prompt.parts:
            self.record_prompt(part, day)
        name = f"{prompt.version}-{prompt.form.version}{_SEALED}"
        kept = (self.root / LlmPrompt.asset).glob(f"sync_day=*/{name}")
        if any(_is_readable(path) for path in kept):
            return
        row = {
            "prompt_version": prompt.version,
            "schema_version": prompt.form.version,
            "name": prompt.name,
            "system_prompt": prompt.text,
            "answer_schema": orjson.dumps(prompt.form.schema).decode(),
            "first_used_at": now(),
        }
        with staged(self._folder(LlmPrompt, day) / name) as path:
            pq.write_table(pa.Table.from_pylist([row], schema=arrow_schema(LlmPrompt)), path)

    def seal_abandoned(self) -> int:
        """Turn the journals of writers that are gone into immutable files; returns how many."""
        sealed = 0
        for journal in self._journals():
            lock = FileLock(journal.with_suffix(_LOCK))
            try:
                with lock.acquire(blocking=False):
                    _seal(journal)
                    sealed += 1
            except Timeout:
                continue  # its writer is alive
            Path(lock.lock_file).unlink(missing_ok=True)
        return sealed

    def relation(self, con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
        """Every answer, those in journals of writers at work included."""
        unsealed = pa.Table.from_batches(
            (batch for journal in self._journals() for batch in _batches(journal)),
            schema=arrow_schema(LlmAnswer),
        )
        con.register("ledger_unsealed", unsealed)
        files = [path for path in self.files(LlmAnswer) if _is_readable(path)]
        sealed = (
            f"SELECT * FROM {read_parquet(files, 'union_by_name = true')}"
            if files
            else f"SELECT {empty_columns(LlmAnswer)} WHERE false"
        )
        return con.sql(f"{sealed} UNION ALL BY NAME SELECT * FROM ledger_unsealed")

    def register_best(
        self,
        con: duckdb.DuckDBPyConnection,
        view: str,
        wanted: Sequence[str],
        answer_key: AnswerKey,
    ) -> None:
        """Make a table `view` of the answer in force for each question hash of `wanted`.

        That is the first valid one, or else the last that is not.
        """
        con.register("ledger_wanted", pa.table({"question_hash": pa.array(wanted, pa.string())}))
        self.relation(con).create_view("ledger_all", replace=True)
        conditions = " AND ".join(f"{name} IS NOT DISTINCT FROM ?" for name in asdict(answer_key))
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE {view} AS
            SELECT * FROM ledger_all SEMI JOIN ledger_wanted USING (question_hash)
            WHERE {conditions}
            QUALIFY row_number() OVER (
                PARTITION BY question_hash
                ORDER BY is_valid DESC, CASE WHEN is_valid THEN answered_at END, answered_at DESC,
                    request_id
            ) = 1
            """,
            list(asdict(answer_key).values()),
        )

    def questions(self, con: duckdb.DuckDBPyConnection, hashes: Iterable[str]) -> list[Question]:
        """The questions with these hashes, as they were sent; forgotten ones are left out."""
        con.register("ledger_wanted", pa.table({"question_hash": pa.array([*hashes], pa.string())}))
        self.relation(con).create_view("ledger_all", replace=True)
        rows = con.sql(
            """
            SELECT question_hash, any_value(text_hash), any_value(question)
            FROM ledger_all SEMI JOIN ledger_wanted USING (question_hash)
            WHERE question <> '{}'
            GROUP BY question_hash ORDER BY question_hash
            """
        ).fetchall()
        return [Question(key, text_hash, question.encode()) for key, text_hash, question in rows]

    def last_digest(self, con: duckdb.DuckDBPyConnection, model: str) -> str | None:
        """What identified the weights of `model` when it last answered; None if not known."""
        self.relation(con).create_view("ledger_all", replace=True)
        found = con.sql(
            "SELECT arg_max(model_digest, answered_at) FROM ledger_all WHERE model = ?",
            params=[model],
        ).fetchall()
        digest: str | None = found[0][0]
        return digest

    def _folder(self, row: type[Row], day: date) -> Path:
        return self.root / row.asset / f"sync_day={day.isoformat()}"

    def _journals(self) -> list[Path]:
        """The journals that have not been sealed; one may be there still beside its sealed file."""
        found = (self.root / LlmAnswer.asset).glob(f"sync_day=*/*{_JOURNAL}")
        return sorted(path for path in found if not path.with_suffix(_SEALED).exists())


class LedgerWriter:
    """Appends to a journal of its own, which is sealed on leaving."""

    def __init__(self, folder: Path) -> None:
        """Write into `folder`; nothing is created before the first answer."""
        self._journal = folder / f"answers-{unique_id()}{_JOURNAL}"
        self._lock = FileLock(self._journal.with_suffix(_LOCK))
        self._file: BinaryIO | None = None
        self._posts_since = 0

    def __enter__(self) -> "LedgerWriter":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is None:
            return
        self._file.close()
        _seal(self._journal)
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def append(self, exchange: Exchange, slots: Sequence[SlotAnswer]) -> None:
        """Keep an exchange. It survives the process from here on, and the machine within a second.

        Raises:
            UnusableDataDirectory: it cannot be written.
        """
        line = orjson.dumps(
            {"exchange": exchange, "slots": slots}, option=orjson.OPT_APPEND_NEWLINE
        )
        try:
            file = self._open()
            file.write(line)
            file.flush()
            self._posts_since += len(slots)
            if self._posts_since >= _SYNC_POSTS:
                self.sync()
        except OSError as error:
            raise unusable(self._journal.parent, error) from error

    def sync(self) -> None:
        """Wait until what was appended is on disk; to be called every `SYNC_SECONDS`."""
        if self._file is not None and self._posts_since:
            os.fsync(self._file.fileno())
            self._posts_since = 0

    def _open(self) -> BinaryIO:
        if self._file is None:
            self._journal.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)  # before the journal is there for others to see
            self._file = self._journal.open("xb")
            sync(self._journal.parent)
        return self._file


def _is_readable(path: Path) -> bool:
    """Whether the file is whole; one that is not is told in the log."""
    try:
        pq.read_metadata(path)
    except Exception as error:
        if not is_damage(error):
            raise
        _log.warning("%s is damaged (%s) and passed over", path, reason_of(error))
        return False
    return True


def _seal(journal: Path) -> None:
    with (
        staged(journal.with_suffix(_SEALED)) as path,
        pq.ParquetWriter(path, arrow_schema(LlmAnswer), compression="zstd") as writer,
    ):
        for batch in _batches(journal):
            writer.write_batch(batch)
    journal.unlink(missing_ok=True)


def _batches(journal: Path) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, Any]] = []
    for row in _rows(journal):
        rows.append(row)
        if len(rows) == _ROWS_AT_ONCE:
            yield pa.RecordBatch.from_pylist(rows, schema=arrow_schema(LlmAnswer))
            rows = []
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=arrow_schema(LlmAnswer))


def _rows(journal: Path) -> Iterator[dict[str, Any]]:
    for line in _whole_lines(journal):
        shared = line["exchange"]
        shared["answered_at"] = datetime.fromisoformat(shared["answered_at"])
        for slot in line["slots"]:
            yield shared | slot


def _whole_lines(journal: Path) -> Iterable[dict[str, Any]]:
    try:
        file = journal.open("rb")
    except FileNotFoundError:
        return  # sealed since it was listed
    with file:
        for line in file:
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # torn by a kill or a power cut


def ledger_of(settings: Settings) -> Ledger:
    """The ledger of the data directory."""
    return Ledger(settings.ledger_dir)


def answers_in(
    con: duckdb.DuckDBPyConnection, table: str, condition: str = "true"
) -> dict[str, str]:
    """The valid answers in a table that `register_best` made, as text, by hash of the question."""
    rows = con.sql(f"SELECT question_hash, {ANSWER} FROM {table} WHERE is_valid AND {condition}")
    return dict(rows.fetchall())
