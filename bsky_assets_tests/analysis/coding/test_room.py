"""The room, as a coder's page and a command see it."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from bsky_assets.analysis.coding.journal import ANSWER
from bsky_assets.analysis.coding.making import Draw, room_of_draw, room_of_file
from bsky_assets.analysis.coding.room import assign, coded, decided, disputed, open_room
from bsky_assets.contracts import RawPostDeletion
from bsky_assets.errors import UserError
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.statistics.sampling import load_design
from bsky_assets_tests.analysis.coding.rooms import (
    ANSWERS,
    Page,
    as_command,
    made,
    opened,
    settings_of,
    texts,
)
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint, by_first_letter
from bsky_assets_tests.support.serving import served
from testbed.rows import account_status, filtered_post, post_deletion, table


def test_coders_get_the_overlap_all_and_the_rest_once(tmp_path: Path) -> None:
    room = made(tmp_path, 50, "ada", "ben", "cho", overlap=11)
    sets = [{*items} for items in room.assigned.values()]
    assert set.union(*sets) == {*range(1, 51)}
    assert len(set.intersection(*sets)) == 11
    for one, other in itertools.combinations(sets, 2):
        assert one & other == set.intersection(*sets)
    assert max(map(len, sets)) - min(map(len, sets)) <= 1


def test_without_an_overlap_every_coder_gets_everything() -> None:
    assert assign([3, 1, 2], ["ada", "ben"], None, seed="x") == {"ada": (3, 1, 2), "ben": (3, 1, 2)}


def test_answers_memos_and_undo_are_kept_for_each_coder(tmp_path: Path) -> None:
    room = made(tmp_path, 3, "ada", "ben")
    with opened(room, settings_of(tmp_path)) as server:
        ada, ben = (Page(server.addresses[coder]) for coder in ("ada", "ben"))
        first = ada.state()
        assert first["item"]["shown"] == {"text": "Text number 1 <b>&"}
        assert (first["done"], first["total"], first["can_undo"]) == (0, 3, False)
        ada.send("memo", item=1, value="is it irony?")
        assert ada.state()["item"]["memo"] == "is it irony?"
        assert ada.code("left", "right")["item"]["number"] == 3
        assert ada.send("undo").json()["item"]["number"] == 2
        assert ben.state()["item"] == {"number": 1, "shown": first["item"]["shown"], "memo": ""}
        ben.code("left")
    said = {coder: {n: e.value for n, e in mine.items()} for coder, mine in coded(room).items()}
    assert said == {"ada": {1: "left"}, "ben": {1: "left"}}
    with opened(room, settings_of(tmp_path)) as server:
        assert Page(server.addresses["ada"]).state()["item"]["number"] == 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"item": 1, "value": "centrist"}, "no such answer"),
        ({"item": 4, "value": "left"}, "not yours"),
        ({"item": "1", "value": "left"}, "not yours"),
        ({"item": 1, "value": 7}, "no such answer"),
        ([], "not an object"),
    ],
)
def test_what_cannot_be_an_answer_is_refused_and_not_kept(
    tmp_path: Path, body: object, says: str
) -> None:
    room = made(tmp_path, 3, "ada")
    with opened(room, settings_of(tmp_path)) as server:
        told = httpx.post(f"{server.addresses['ada']}answer", json=body)
    assert told.status_code == 400
    assert says in told.json()["refused"]
    assert coded(room) == {}


def test_no_other_page_of_the_browser_can_answer_for_a_coder(tmp_path: Path) -> None:
    room = made(tmp_path, 3, "ada", "ben")
    body = {"item": 1, "value": "left"}
    with opened(room, settings_of(tmp_path)) as server:
        address = server.addresses["ada"]
        host = address.rsplit("/", 2)[0]
        for url, headers in [
            (f"{host}/answer", {}),
            (f"{host}//answer", {}),
            (f"{host}/wrong/answer", {}),
            (f"{address}answer", {"Host": "rebound.example"}),
            (f"{address}answer", {"Content-Type": "text/plain"}),
        ]:
            sent = {"Content-Type": "application/json"} | headers
            told = httpx.post(url, content=json.dumps(body), headers=sent)
            assert told.status_code == 404
        assert httpx.get(host + "/").status_code == 404
        policy = httpx.get(address).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert coded(room) == {}
    assert server.addresses["ada"] != server.addresses["ben"]


@pytest.mark.scenario
def test_kill_9_between_any_two_keys_loses_nothing(tmp_path: Path) -> None:
    made(tmp_path, 40, "ada", "ben")
    keys = itertools.cycle(ANSWERS)
    given: dict[str, list[str]] = {"ada": [], "ben": []}
    for count in (1, 2, 7, 3):
        with as_command(tmp_path, "texts") as (process, addresses):
            for coder, address in addresses.items():
                assert Page(address).state()["done"] == len(given[coder])
                new = [*itertools.islice(keys, count)]
                Page(address).code(*new)
                given[coder] += new
            process.kill()
    said = coded(open_room(settings_of(tmp_path), "texts"))
    assert {coder: [said[coder][n].value for n in sorted(said[coder])] for coder in said} == given


def test_an_adjudicator_decides_what_coders_dispute_and_it_stays_who_did(tmp_path: Path) -> None:
    room = made(tmp_path, 4, "ada", "ben")
    with opened(room, settings_of(tmp_path)) as server:
        Page(server.addresses["ada"]).code("left", "left", "right", "unclear")
        Page(server.addresses["ben"]).code("left", "right", "right", "moderate")
    assert [*disputed(room)] == [2, 4]
    assert [*decided(room)] == [1, 3]
    with opened(room, settings_of(tmp_path), adjudicator="cho") as server:
        page = Page(server.addresses["cho"])
        state = page.state()
        assert (state["item"]["number"], state["total"]) == (2, 2)
        assert state["disputed"] == ["left", "right"]
        assert "ada" not in json.dumps(state)
        page.code("right")
    labels = decided(room)
    assert (labels[2].answer, labels[2].by, labels[2].is_adjudicated) == ("right", ("cho",), True)
    assert (labels[1].by, labels[1].is_adjudicated) == (("ada", "ben"), False)
    assert [*disputed(room)] == [2, 4]
    assert 4 not in labels
    assert {*coded(room)} == {"ada", "ben"}


def test_a_coder_does_not_adjudicate(tmp_path: Path) -> None:
    room = made(tmp_path, 4, "ada", "ben")
    with (
        pytest.raises(UserError, match="another person has to adjudicate"),
        opened(room, settings_of(tmp_path), adjudicator="Ben"),
    ):
        pass


@pytest.mark.parametrize(
    ("coders", "says"),
    [
        (["ada", "Ada"], "two coders are called 'Ada'"),
        ([], "no coder is named"),
        (["a/b"], "cannot name a coder"),
        (["\x1b[1m"], "cannot name a coder"),
    ],
)
def test_coders_who_cannot_be_told_apart_are_refused_in_one_line(
    tmp_path: Path, coders: list[str], says: str
) -> None:
    with pytest.raises(UserError, match=says) as refused:
        made(tmp_path, 3, *coders)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "data").exists()


def test_a_room_is_not_made_twice_and_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    made(tmp_path, 3, "ada")
    with pytest.raises(UserError, match="there is a room texts already"):
        made(tmp_path, 3, "ada")
    with pytest.raises(UserError, match="no room 'other'; there are: texts"):
        open_room(settings_of(tmp_path), "other")
    with pytest.raises(UserError, match=r"no room '\.\./data'"):
        open_room(settings_of(tmp_path), "../data")


def test_a_file_of_a_sample_that_was_not_drawn_here_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("sample,item,uri,text\nsample-0123abcd,1,at://x,hello\n")
    with pytest.raises(UserError, match="sample-0123abcd, which was not drawn in this"):
        room_of_file(settings_of(tmp_path), path, ["ada"])


def labelled(folder: Path, url: str) -> Lab:
    lab = Lab(folder, f"{url}/v1", {"llm_models": ("fake",)})
    lab.filtered(filtered_post(n, f"{'LRN'[n % 3]} post {n}") for n in range(60))
    lab.label()
    return lab


def always_left(_body: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(question, "left")


def test_no_byte_of_what_the_model_answered_reaches_a_page(tmp_path: Path) -> None:
    """Two models that answer differently, and the same sample: the pages are the same."""
    told = []
    for name, answers in (("one", by_first_letter), ("other", always_left)):
        with served(FakeEndpoint(answers).app()) as url:
            lab = labelled(tmp_path / name, url)
        room = room_of_draw(lab.settings, Draw([DAY], 20, [], seed=4), ["ada"])
        with opened(room, lab.settings) as server:
            page = Page(server.addresses["ada"])
            bodies = [httpx.get(page.address).content]
            for answer in itertools.islice(itertools.cycle(ANSWERS), 20):
                item = page.state()["item"]["number"]
                bodies.append(page.send("answer", item=item, value=answer).content)
        told.append(bodies)
    assert told[0] == told[1]


def test_each_item_has_its_chance_of_selection(tmp_path: Path) -> None:
    with served(FakeEndpoint(by_first_letter).app()) as url:
        lab = labelled(tmp_path, url)
    room = room_of_draw(lab.settings, Draw([DAY], 24, ["label"]), ["ada"])
    design = load_design(ledger_of(lab.settings), room.name)
    assert design
    assert len(room.items) == 24
    for item in room.items.values():
        drawn = [*design.posts.values()].count(item.stratum)
        assert item.chance == pytest.approx(drawn / design.sizes[item.stratum])
    expected = sum(1 / item.chance for item in room.items.values() if item.chance)
    assert expected == pytest.approx(60)


def test_posts_that_are_deleted_leave_the_room_while_it_is_open(tmp_path: Path) -> None:
    with served(FakeEndpoint(by_first_letter).app()) as url:
        lab = labelled(tmp_path, url)
    room = room_of_draw(lab.settings, Draw([DAY], 20, []), ["ada"])
    gone, away = (item for item in list(room.items.values())[:2])
    assert gone.uri
    assert away.uri
    with opened(room, lab.settings) as server:
        page = Page(server.addresses["ada"])
        assert page.state()["total"] == 20
        author, rkey = gone.uri.split("/")[2], gone.uri.rsplit("/", 1)[1]
        rows = [
            post_deletion(author, rkey, 1),
            account_status(away.uri.split("/")[2], "deleted", 2),
        ]
        lab.lake.write(RawPostDeletion, DAY, table(RawPostDeletion, rows))
        assert page.state()["total"] == 18
        refused = page.send(ANSWER, item=gone.number, value="left")
    assert refused.status_code == 400
    assert "has been deleted" in refused.json()["refused"]
    kept = b"".join(path.read_bytes() for path in room.folder.iterdir())
    assert not re.search(rb"[LRN] post \d", kept), "words of a post would outlive it"


def test_the_room_opens_from_a_file_by_the_command(tmp_path: Path) -> None:
    path = texts(tmp_path, 5)
    with as_command(tmp_path, str(path), "--coders", "ada,ben", "--overlap", "1") as (_, addresses):
        states = {coder: Page(address).state() for coder, address in addresses.items()}
    assert {coder: state["total"] for coder, state in states.items()} == {"ada": 3, "ben": 3}
    assert "sociopolitical" in states["ada"]["codebook"]
