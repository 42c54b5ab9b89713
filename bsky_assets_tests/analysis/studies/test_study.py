"""A study from its declaration to a sealed folder that others verify, by the command."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster import DagsterInstance

from bsky_assets.analysis.coding.journal import Journal
from bsky_assets.analysis.coding.room import open_room, rooms
from bsky_assets.analysis.studies.declaration import template
from bsky_assets.analysis.studies.seal import sha256
from bsky_assets.analysis.studies.verify import differences
from bsky_assets.commands.running import selected
from bsky_assets.contracts import FilteredPost, RawFirehosePost, RawPostDeletion
from bsky_assets.exports.register import exports_holding
from bsky_assets.settings import get_settings
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, by_first_letter
from bsky_assets_tests.support.serving import served
from testbed.rows import NOON, filtered_post, post_deletion, record, table

POSTS = 300
Run = Callable[..., tuple[int, str, str]]


def text_of(number: int) -> str:
    """Every third post is political; the model takes some others for it."""
    return f"{'L' if number % 3 == 0 or number % 10 == 2 else 'N'} secret words {number}"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    posts = []
    for n in range(POSTS):
        said = record(text_of(n), reply_parent=None if n % 2 else "at://did:plc:a/b/c")
        posts.append(filtered_post(n, "", record=said, author={"did": f"did:plc:author{n // 3}"}))
    with served(FakeEndpoint(by_first_letter).app()) as url:
        lab = Lab(tmp_path_factory.mktemp("study") / "data", f"{url}/v1", {"llm_models": ("fake",)})
        lab.lake.write(FilteredPost, DAY, table(FilteredPost, posts))
        yield lab


@pytest.fixture
def ours(lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("BSKY_DATA_DIR", str(lab.folder))
    monkeypatch.setenv("BSKY_LLM_MODELS", "fake")
    return lambda *arguments: run(monkeypatch, capsys, "study", *map(str, arguments))


def declared(lab: Lab, folder: Path, **changes: str) -> Path:
    """The file `study.toml` with lines of the template changed."""
    text = template("links", str(DAY), lab.settings).replace("size = 200", "size = 120")
    text = text.replace("political ~ has_link", "political ~ is_reply")
    for old, new in changes.items():
        text, count = re.subn(rf"(?m)^{old} = .*$", new, text, count=1)
        assert count
    path = folder / "study.toml"
    path.write_text(text)
    return path


def code(lab: Lab, name: str) -> None:
    room = open_room(lab.settings, name)
    with Journal(room.journal) as journal:
        for number, item in room.items.items():
            post = int(re.findall(r"3k(\d+)", item.uri or "")[0])
            journal.add_all("ada", {number: "not_sociopolitical" if post % 3 else "left"})


@pytest.fixture(scope="module")
def folder(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the declaration is, and the study once it is sealed."""
    return tmp_path_factory.mktemp("declared")


def results_in(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(out.strip().splitlines()[-1]).read_text())
    return found


@pytest.fixture
def sealed(lab: Lab, folder: Path, ours: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study that was declared in time, with one analysis that was not; sealed once."""
    out = folder / "sealed"
    if out.exists():
        return out
    file = declared(lab, folder)

    def labelled(_settings: object, days: object, select: str, *, only_missing: bool) -> None:
        assert (days, only_missing) == ([DAY], True)
        with DagsterInstance.get():
            pass  # as the process of a day does
        names = [key.to_user_string() for key in selected(select)]
        assert names[-1] == "llm_labels"
        assert {"raw_firehose_posts", "filtered_posts"} <= {*names}
        lab.label()

    monkeypatch.setattr("bsky_assets.commands.running.materialize_days", labelled)
    status, told, error = ours("run", file)
    assert status == 0, error
    assert "120 of 120 posts are not coded" in told
    (name,) = rooms(lab.settings)
    assert name in told
    assert ours("seal", file, out)[2].endswith("as it is declared: run it first")
    code(lab, name)
    status, told, error = ours("run", file, "--also", "left ~ is_reply")
    assert status == 0, error
    estimates = results_in(told)["estimates"]
    assert [(one["formula"], one["exploratory"]) for one in estimates] == [
        ("political", None),
        ("political ~ is_reply", None),
        ("left ~ is_reply", "not declared"),
    ]
    share = estimates[0]["found"]["coefficients"][0]
    assert share["corrected"]["low"] < 1 / 3 < share["corrected"]["high"]
    assert share["naive"]["value"] > share["corrected"]["value"]
    assert ours("seal", file, out)[0] == 0
    return out


@pytest.fixture
def copy(sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sealed study elsewhere, where no data are."""
    monkeypatch.setenv("BSKY_DATA_DIR", str(tmp_path / "none"))
    return Path(shutil.copytree(sealed, tmp_path / "copy"))


def test_a_copy_of_a_sealed_study_gives_the_same_numbers_and_has_no_words(
    copy: Path, ours: Run
) -> None:
    status, out, error = ours("verify", copy)
    assert (status, out.strip()) == (0, f"{copy}: all the same"), error
    assert pq.read_table(copy / "rows.parquet").num_rows == POSTS
    assert not [path for path in copy.iterdir() if b"secret words" in path.read_bytes()]
    rows = pq.read_table(copy / "rows.parquet").to_pydict()
    assert "secret" not in str(rows)
    assert "handle" not in str(rows)


@pytest.mark.parametrize(
    ("column", "value"), [("label", "right"), ("people", "unclear"), ("characters", 7)]
)
def test_one_changed_cell_is_named(copy: Path, ours: Run, column: str, value: object) -> None:
    rows = pq.read_table(copy / "rows.parquet")
    values = rows[column].to_pylist()
    values[41] = value
    place = rows.column_names.index(column)
    pq.write_table(
        rows.set_column(place, column, pa.array(values, rows[column].type)), copy / "rows.parquet"
    )
    status, _, error = ours("verify", copy)
    assert status == 1
    assert f"the first: rows.parquet, row 42, column {column} has changed" in error


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("prompt.txt", "post", "toast", "prompt.txt is not the file that was sealed"),
        ("study.toml", "seed = 1", "seed = 2", "sample.seed is 2 and should be 1"),
        ("results.json", '"exploratory": "not declared"', '"exploratory": null', "exploratory is"),
        ("results.json", '"posts": 300', '"posts": 301', "estimates.1.found.posts is 301"),
    ],
)
def test_a_changed_prompt_seed_or_number_is_named_also_where_its_checksum_is_mended(
    copy: Path, ours: Run, capsys: pytest.CaptureFixture[str], name: str, old: str, new: str,
    told: str,
) -> None:  # fmt: skip
    path = copy / name
    was, text = sha256(path), path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert any(told in line for line in differences(copy))
    sums = copy / "SHA256SUMS"
    sums.write_text(sums.read_text().replace(was, sha256(path)))
    status, _, error = ours("verify", copy)
    assert status == 1
    assert (told if name != "prompt.txt" else "the prompt in prompt.txt is") in error


def test_a_seal_is_named_to_who_is_forgotten_and_is_not_made_of_deleted_posts(
    sealed: Path, folder: Path, lab: Lab, tmp_path: Path, ours: Run
) -> None:
    file, did = folder / "study.toml", "did:plc:author5"
    assert str(sealed) in [one.folder for one in exports_holding(lab.folder, did)]
    assert ours("seal", file, sealed)[2].endswith("name a new folder, or empty it")
    assert ours("seal", file, tmp_path / "again")[0] == 0
    raw = {
        "uri": filtered_post(5, "")["uri"], "cid": "c", "author": did, "record": record("words"),
        "metadata": {"synctimestamp": "x", "source_feed": "firehose"}, "relay": "r", "seq": 1,
        "rev": "3k", "commit_time": NOON, "received_at": NOON,
    }  # fmt: skip
    lab.lake.write(RawFirehosePost, DAY, table(RawFirehosePost, [raw]))
    lab.lake.write(RawPostDeletion, DAY, table(RawPostDeletion, [post_deletion(did, "3k5", 900)]))
    status, _, error = ours("seal", file, tmp_path / "third")
    assert (status, "1 of its posts were deleted since" in error) == (1, True), error
    assert not (tmp_path / "third").exists()


def test_what_is_changed_once_labels_are_there_is_exploratory_and_says_so(
    sealed: Path, lab: Lab, tmp_path: Path, ours: Run
) -> None:
    file = declared(lab, tmp_path, formula='formula = "political ~ characters"')
    status, _, error = ours("run", file)
    assert status == 0, error
    code(lab, next(name for name in rooms(lab.settings) if name not in str(sealed_sample(sealed))))
    status, out, error = ours("run", file)
    assert status == 0, error
    why = f"labels of {DAY} were stored before this was declared"
    assert {one["exploratory"] for one in results_in(out)["estimates"]} == {why}


def sealed_sample(sealed: Path) -> str:
    return str(json.loads((sealed / "results.json").read_text())["sample"]["name"])


@pytest.mark.parametrize(
    ("key", "line", "told"),
    [
        ("level", "", "level is missing"),
        ("seed", "sede = 1", "study.toml has 2 problems; the first: study.toml: sample.seed is"),
        ("level", 'level = "secret"', "level: Input should be 'dehydrated' or 'restricted'"),
        ("share", 'share = "angry"', "estimates.0: 'angry' cannot be estimated; there are"),
        ("formula", 'formula = "left ~ mood"', "estimates.1: there is no column 'mood'; there are"),
        ("share", 'difference = "left"', "estimates.0: difference and by go together"),
        ("prompt_version", 'prompt_version = "0"', "the prompt in force is"),
        ("models", 'models = ["other"]', "models: other are stated, and BSKY_LLM_MODELS is fake"),
        ("days", 'days = "1999-01-01"', "days: 1999-01-01 cannot be materialised"),
        ("name", 'name = "../x"', "name: String should match pattern"),
        ("name", "name = ", "study.toml is not TOML in UTF-8"),
    ],
)
def test_what_a_declaration_lacks_or_mistakes_is_named_in_one_line(
    lab: Lab, tmp_path: Path, ours: Run, key: str, line: str, told: str
) -> None:
    file = declared(lab, tmp_path, **{key: line})
    for command in ("check", "run"):
        status, out, error = ours(command, file)
        assert (status, out) == (1, "")
        assert told in error


def test_a_population_is_of_columns_that_there_are(lab: Lab, tmp_path: Path, ours: Run) -> None:
    file = declared(lab, tmp_path)
    text = file.read_text()
    file.write_text(text.replace("[population]", "[population]\nmood = 1"))
    assert "population: there is no column 'mood'" in ours("check", file)[2]
    file.write_text(text.replace("[population]", "[population]\nis_reply = 1"))
    assert "population.is_reply: 1 is no bool" in ours("check", file)[2]
    file.write_text(text.replace("[population]", "[population]\nis_reply = true"))
    assert ours("check", file)[0] == 0


def test_a_folder_that_is_none_and_a_level_that_forbids_it_are_one_line(
    lab: Lab, tmp_path: Path, ours: Run
) -> None:
    status, _, error = ours("verify", tmp_path)
    assert (status, "is no sealed study that can be read" in error) == (1, True)
    file = declared(lab, tmp_path, level='level = "restricted"')
    assert "is restricted" in ours("seal", file, tmp_path / "out")[2]
    assert "is there already" in ours("new", file, "--days", DAY)[2]
    assert ours("new", tmp_path / "fresh.toml", "--days", DAY)[0] == 0
    get_settings.cache_clear()
    assert ours("check", tmp_path / "fresh.toml")[0] == 0
