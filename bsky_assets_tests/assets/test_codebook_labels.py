"""A codebook from `new` to its asset, its view, the report, the export and a deletion."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    ExecuteInProcessResult,
    TableMetadataValue,
    materialize,
)
from typer.testing import CliRunner

import bsky_assets
from bsky_assets.commands.codebook import app
from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.consolidation.forget import forget_in_lake, subject_of
from bsky_assets.consolidation.tombstones import apply_tombstones
from bsky_assets.contracts import (
    DisputedPost,
    FilteredPost,
    RawFirehosePost,
    RawPostDeletion,
    arrow_schema,
)
from bsky_assets.contracts.codebooks import load_codebooks
from bsky_assets.definitions import build_defs
from bsky_assets.errors import UserError
from bsky_assets.exports.export import assets_named, default_assets, export
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.ledger.tracing import forget
from bsky_assets.orchestration.staleness import stale
from bsky_assets.reporting.report import report_of
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.support.codebooks import EVERY_TYPE, HEAT, TOPIC, TOXIC, read_off
from bsky_assets_tests.support.command import run
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, Question
from bsky_assets_tests.support.serving import served
from testbed.rows import filtered_post, firehose_post, post_deletion, table

NAME = "wistfulness"


@pytest.fixture
def endpoint() -> FakeEndpoint:
    return FakeEndpoint(read_off, models=("fake", "other"))


@pytest.fixture
def lab(
    settings: Settings, endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lab]:
    with served(endpoint.app()) as url:
        monkeypatch.setenv("BSKY_LLM_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("BSKY_LLM_MODELS", "fake")
        get_settings.cache_clear()
        lab = Lab(settings.data_dir, f"{url}/v1", {"llm_models": ("fake",)})
        posts = [f"Post {n} {NAME}={'yes' if n % 3 else 'no'} topic=food" for n in range(12)]
        lab.filtered(filtered_post(n, text, is_english=True) for n, text in enumerate(posts))
        yield lab


def materialised(lab: Lab, *names: str) -> ExecuteInProcessResult:
    defs = build_defs(lab.settings)
    return materialize(
        list(defs.assets or ()),
        selection=[AssetKey(name) for name in names],
        partition_key=DAY.isoformat(),
        resources=dict(defs.resources or {}),
        instance=DagsterInstance.ephemeral(),
    )


def command(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    if isinstance(done.exception, UserError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_new_codebook_gets_from_a_file_to_its_view_without_a_change_of_the_package(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command("new", NAME)
    path = tmp_path / f"{NAME}.toml"
    with pytest.raises(UserError, match=rf"^{NAME}\.toml: question: is empty; write it$"):
        command("check", path.name)
    text = path.read_text().replace('question = ""', 'question = "Is the post wistful?"')
    path.write_text(
        text.replace('definition = ""', 'definition = "It is."', 1).replace(
            'definition = ""', 'definition = "It is not."'
        )
    )
    assert "asset labels_wistfulness" in command("check", path.name)
    tried = command("try", path.name, "--posts", "4", "--batch-sizes", "2")
    assert "yes" in tried or "true" in tried
    assert "up to 2 posts a request keep their answers" in tried
    assert not lab.settings.codebooks_dir.exists(), "trying changes nothing"
    command("add", path.name)
    with pytest.raises(UserError, match="'wistfulness' is taken"):
        command("add", path.name)
    done = materialised(lab, f"labels_{NAME}")
    assert done.success
    (made,) = done.asset_materializations_for_node(f"labels_{NAME}")
    assert "Label shares" in str(made.metadata["shares"].value), "its picture"
    assert {check.check_name for check in done.get_asset_check_evaluations()} >= {
        "labels_cover_all_passed_posts",
        "request_contains_the_post",
    }
    with duckdb.connect(str(lab.settings.catalogue_path), read_only=True) as con:
        rows = con.sql(f"SELECT uri, answer FROM labels_{NAME} WHERE sync_day = '{DAY}'").fetchall()
    assert dict(rows) == {filtered_post(n, "")["uri"]: n % 3 > 0 for n in range(12)}
    (lab.settings.codebooks_dir / path.name).unlink()
    path.write_text(HEAT.replace("heat", NAME))
    with pytest.raises(UserError, match="the answers that are stored are of another type"):
        command("add", path.name)
    package = Path(bsky_assets.__file__).parent
    assert [*lab.settings.codebooks_dir.iterdir()] == [], "of files it was that one alone"
    mentions = [path for path in package.rglob("*.*") if NAME.encode() in path.read_bytes()]
    assert mentions == []


def test_texts_come_with_their_codebook_and_take_the_place_of_no_other_s(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("toxic", "words.md"), ("topic", "words.md"), ("heat", "texts/heat.md")):
        source = {"toxic": TOXIC, "topic": TOPIC, "heat": HEAT}[name]
        told = source.replace("[answer]", f'text = ["{text}"]\n[answer]', 1)
        (tmp_path / f"{name}.toml").write_text(told)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "heat.md").write_text("How heated?")
    (tmp_path / "words.md").write_text("Is it toxic?")
    command("add", "toxic.toml")
    (tmp_path / "words.md").write_text("What is it about?")
    with pytest.raises(UserError, match=r"'words\.md' is a text of toxic\.toml too"):
        command("add", "topic.toml")
    with pytest.raises(UserError, match="in another folder; put it beside"):
        command("add", "heat.toml")
    folder = lab.settings.codebooks_dir
    assert (folder / "words.md").read_text() == "Is it toxic?"
    assert {path.name for path in folder.iterdir()} == {"toxic.toml", "words.md"}
    (found,) = load_codebooks(folder).usable
    assert found.text == "Is it toxic?"
    command("add", "toxic.toml", "--replace")
    assert (folder / "words.md").read_text() == "What is it about?"


def sceptical(body: dict[str, Any], question: Question) -> str:
    """Of two models one says no to everything."""
    said = read_off(body, question)
    return said.replace('"yes"', '"no"') if body["model"] == "other" else said


def test_models_and_people_are_compared_on_a_codebook_and_its_shares_are_corrected(
    lab: Lab,
    endpoint: FakeEndpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    endpoint.answer = sceptical
    lab.codebook(TOXIC.replace("toxic", NAME))
    lab.options["llm_models"] = ("fake", "other")
    (made,) = materialised(lab, f"labels_{NAME}").asset_materializations_for_node(f"labels_{NAME}")
    kappa = made.metadata["kappa"]
    assert isinstance(kappa, TableMetadataValue)
    (row,) = kappa.records
    assert row.data["models"] == "fake and other"
    assert row.data["posts"] == "12"
    assert str(row.data[f"kappa, {NAME}"]).startswith("0.000")
    assert "Confusion matrix" in str(made.metadata["confusion"].value)

    def labels(*arguments: str) -> str:
        status, said, problem = run(
            monkeypatch, capsys, "labels", *arguments, "--codebook", NAME,
            BSKY_DATA_DIR=str(lab.folder), BSKY_LLM_MODELS="fake,other", COLUMNS="200",
        )  # fmt: skip
        assert status == 0, problem
        return said

    disputed = tmp_path / "disputed.csv"
    assert "8 posts are disputed" in labels("compare", "--disputed", str(disputed))
    assert set(pd.read_csv(disputed)["uri"]) == {
        filtered_post(n, "")["uri"] for n in range(12) if n % 3
    }
    gold = tmp_path / "gold.csv"
    labels("export", "--sample", "12", str(gold))
    given = pd.read_csv(gold, dtype=str)
    assert given[NAME].isna().all(), "it is for people to fill in"
    assert len(given) == 12
    yes = [filtered_post(n, "")["uri"] for n in range(6)]
    given[NAME] = ["yes" if uri in yes else "no" for uri in given["uri"]]
    given.to_csv(gold, index=False)
    told = json.loads(labels("eval", "--json", str(gold)))["evaluation"]
    (compared,) = told["compared"]
    assert (compared["name"], compared["scores"]["posts"]) == (NAME, 12)
    shares = {share["label"]: share for share in told["shares"]}
    assert shares["yes"]["naive"] == pytest.approx(8 / 12), "as the model has it"
    assert shares["yes"]["corrected"]["value"] == pytest.approx(6 / 12), "as people have it"


def test_the_report_and_the_export_have_what_a_codebook_found(lab: Lab, tmp_path: Path) -> None:
    row = lab.codebook(TOPIC)
    lab.label(row=row)
    lake = Lake.of(lab.settings)
    with duckdb.connect() as con:
        stored = lake.relation(con, FilteredPost, [DAY]).to_arrow_table()
        stored = stored.cast(arrow_schema(FilteredPost))
        told = {"posts": 12, "passed": 12, "funnel": [], "languages": {}}
        lake.write(FilteredPost, DAY, stored, told)
        page = report_of(con, lake, lab.settings, DAY)
        (section,) = (one for one in page.details if one.name == "codebooks")
        assert "What is topic?" in str(section)
        assert "food" in str(section)
        out = tmp_path / "out"
        export(con, lake, lab.settings, [DAY], out, "csv", default_assets(lake))
    assert (out / "labels_topic.csv").read_text().count("food") == 12
    assert "What is topic?" in (out / "DATA_DICTIONARY.md").read_text()
    assert r"labels\_topic" in (out / "README.md").read_text()


def test_a_deleted_post_leaves_a_codebooks_labels_and_its_words_the_ledger(lab: Lab) -> None:
    row = lab.codebook(TOPIC)
    lab.label(row=row)
    lake = Lake.of(lab.settings)
    posts = [filtered_post(n, f"Post {n} topic=food", is_english=True) for n in range(12)]
    lab.filtered(posts)
    lab.label(row=row)
    gone = posts[0]["uri"]
    firehose = [
        firehose_post(f"did:plc:author{n}", f"3k{n}", seq=n, record=post["record"])
        for n, post in enumerate(posts)
    ]
    lake.write(RawFirehosePost, DAY, table(RawFirehosePost, firehose))
    deletion = post_deletion("did:plc:author0", "3k0", seq=900)
    ledger = ledger_of(lab.settings)
    with duckdb.connect() as con:
        consolidate_day(con, lake, DAY)
        lake.write(RawPostDeletion, DAY, table(RawPostDeletion, [deletion]))
        list(apply_tombstones(con, lake, lambda removed: forget(con, lake, ledger, removed)))
        words = ledger.relation(con).select("question").to_arrow_table()["question"].to_pylist()
    assert gone not in {one["uri"] for one in lab.rows(row)}
    assert len(lab.rows(row)) == 11
    assert not any('"Post 0 topic=food"' in question for question in words)
    assert any('"Post 1 topic=food"' in question for question in words)


def test_what_is_deleted_leaves_labels_of_codebooks_that_are_there_no_more_and_disputes(
    lab: Lab, tmp_path: Path
) -> None:
    topic, toxic = lab.codebook(TOPIC), lab.codebook(TOXIC)
    posts = [filtered_post(n, f"Post {n} topic=food", is_english=True) for n in range(12)]
    lab.filtered(posts)
    for row in (topic, toxic):
        lab.label(row=row)
    (lab.settings.codebooks_dir / "topic.toml").unlink()
    lab.codebook(HEAT.replace("heat", "toxic"))
    lake = Lake.of(lab.settings)
    disputes = [{"uri": post["uri"], "models": ["a"], "labels": ["left"]} for post in posts]
    lake.write(DisputedPost, DAY, table(DisputedPost, disputes))
    firehose = [
        firehose_post(f"did:plc:author{n}", f"3k{n}", seq=n, record=post["record"])
        for n, post in enumerate(posts)
    ]
    lake.write(RawFirehosePost, DAY, table(RawFirehosePost, firehose))
    later = DAY + timedelta(days=20)
    gone, forgotten, kept = (posts[n]["uri"] for n in range(3))
    holders = {"consolidated_posts", "filtered_posts", "labels_topic", "labels_toxic"}
    with duckdb.connect() as con:
        consolidate_day(con, lake, DAY)
        deletion = post_deletion("did:plc:author0", "3k0", seq=900)
        lake.write(RawPostDeletion, later, table(RawPostDeletion, [deletion]))
        assert gone in uris_of(lake)["labels_topic"]
        rows = assets_named(lake, ["labels_topic"])
        export(con, lake, lab.settings, [DAY], tmp_path / "out", "csv", rows)
        given = (tmp_path / "out" / "labels_topic.csv").read_text()
        assert kept in given
        assert gone not in given
        ledger = ledger_of(lab.settings)
        list(apply_tombstones(con, lake, lambda removed: forget(con, lake, ledger, removed)))
        forget_in_lake(con, lake, subject_of(con, lake, forgotten))
    left = uris_of(lake)
    for dataset in (*holders, "model_agreement"):
        assert kept in left[dataset], dataset
        assert not {gone, forgotten} & left[dataset], dataset
    lab.codebook(TOPIC)
    assert {row["answer"] for row in lab.rows(topic)} == {"food"}, "added again it is read"


def uris_of(lake: Lake) -> dict[str, set[str]]:
    """The posts in each table, as its files have them."""
    return {
        found.dataset: set(pq.read_table(str(found.path), partitioning=None)["uri"].to_pylist())
        for found in lake.pointed("")[0]
    }


def test_a_changed_codebook_makes_its_own_asset_stale_and_no_other(lab: Lab) -> None:
    for source in (TOXIC, TOPIC):
        lab.label(row=lab.codebook(source))
    lake = Lake.of(lab.settings)
    assert [one for one in stale(lake, lab.settings) if one.asset.startswith("labels_")] == []
    before = code_versions(lab)
    lab.codebook(TOPIC.replace("Games", "Contests"))
    lake = Lake.of(lab.settings)
    old = [one.asset for one in stale(lake, lab.settings) if one.asset.startswith("labels_")]
    assert old == ["labels_topic"]
    after = code_versions(lab)
    assert {name for name in before if before[name] != after[name]} == {"labels_topic"}


def code_versions(lab: Lab) -> dict[str, Any]:
    graph = build_defs(lab.settings).resolve_asset_graph()
    return {key.to_user_string(): graph.get(key).code_version for key in graph.get_all_asset_keys()}


def test_a_codebook_that_cannot_be_used_stops_no_other_asset(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    lab.codebook(TOXIC)
    (lab.settings.codebooks_dir / "broken.toml").write_text("name = ")
    graph = build_defs(lab.settings).resolve_asset_graph()
    names = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert "labels_toxic" in names
    assert "labels_broken" not in names
    assert "broken.toml is not TOML" in caplog.text


def test_the_report_is_made_after_the_labels_of_every_codebook(lab: Lab) -> None:
    for source in EVERY_TYPE:
        lab.codebook(source)
    graph = build_defs(lab.settings).resolve_asset_graph()
    parents = {key.to_user_string() for key in graph.get(AssetKey("daily_report")).parent_keys}
    assert {f"labels_{name}" for name in ("toxic", "topic", "feelings", "heat", "target")} < parents
