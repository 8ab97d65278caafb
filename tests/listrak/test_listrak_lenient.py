"""Answers that don't fit their shape: what is certain is read, and what isn't holds up itself."""

import json
from typing import Any

import msgspec
import pytest
from listrak_stand_in import StandIn, auth_of, client_of, ok, status

from bridge.errors import TemporaryError
from bridge.listrak import shapes, wire
from bridge.listrak.shapes import Shape


def body(*rows: Any) -> bytes:
    return json.dumps({"data": list(rows), "nextPageCursor": None}).encode()


def read(shape: Shape[Any], *rows: Any) -> Any:
    answer, _ = shape.decode(body(*rows))
    return answer.data


@pytest.mark.parametrize(
    ("field", "value", "meaning"),
    [
        ("orderTotal", "12.50", 12.5),
        ("orderTotal", "1e3", 1000.0),
        ("open", 1, True),
        ("open", 0, False),
        ("open", "true", True),
        ("clickCount", "3", 3),
        ("clickCount", 3.0, 3),
        ("clickCount", "3.0", 3),
    ],
)
def test_what_is_certain(field: str, value: Any, meaning: Any) -> None:
    """It is read, and so are all other rows of its page."""
    fine = {"emailAddress": "a@x.com", "open": True, "clickCount": 2}
    rows = read(shapes.ACTIVITIES, fine, {"emailAddress": "b@x.com", field: value}, fine)
    name = {"orderTotal": "order_total", "clickCount": "click_count"}.get(field, field)
    assert [row.email_address for row in rows] == ["a@x.com", "b@x.com", "a@x.com"]
    assert getattr(rows[1], name) == meaning
    assert type(getattr(rows[1], name)) is type(meaning)
    assert [row.click_count for row in rows][::2] == [2, 2]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("open", 2),
        ("open", "perhaps"),
        ("clickCount", 3.5),
        ("clickCount", -4),
        ("clickCount", 2**63),
        ("clickCount", True),
        ("orderTotal", ""),
        ("orderTotal", True),
        ("emailAddress", 5),
        ("sendDate", ["2026-01-01"]),
    ],
)
def test_what_is_not_certain(field: str, value: Any) -> None:
    """It is an answer that can't be read; the error says where, and quotes nothing."""
    with pytest.raises(msgspec.DecodeError) as caught:
        read(shapes.ACTIVITIES, {"emailAddress": "jane@example.com", field: value})
    assert f"$.data[0].{field}" in str(caught.value) or "$.data" in str(caught.value)
    assert "jane" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [b"", b"<html>", b'{"data": [NaN]}', b'{"data": [', b"\xff", b"[" * 100_000, b"[]", b"7"],
)
@pytest.mark.parametrize("shape", [shapes.ACTIVITIES, shapes.LISTS, shapes.SUMMARY])
def test_what_is_no_answer(shape: Shape[Any], text: bytes) -> None:
    """Whatever it is, it is one error."""
    with pytest.raises(wire.UNREADABLE):
        shape.decode(text)


LISTINGS: dict[str, Shape[Any]] = {
    "listId": shapes.LISTS,
    "campaignId": shapes.CAMPAIGNS,
    "segmentationFieldId": shapes.FIELDS,
    "messageId": shapes.MESSAGES,
    "splitTestId": shapes.SPLIT_TESTS,
    "conversationId": shapes.CONVERSATIONS,
    "transactionalMessageId": shapes.TRANSACTIONAL,
}


@pytest.mark.parametrize("bad", [None, "x", [], {}, -1, 2**63, 1.5], ids=repr)
@pytest.mark.parametrize("key", LISTINGS)
def test_an_id_that_is_none(key: str, bad: Any) -> None:
    """Nothing can be asked for by it: its row is left out, all others are read."""
    shape = LISTINGS[key]
    for rows in ([{key: 1}, {key: bad}, {key: 2}], [{key: 1}, bad, {key: "2"}]):
        found = [next(iter(msgspec.to_builtins(row).values())) for row in read(shape, *rows)]
        # A campaign without an id is none.
        assert [number for number in found if number] == [1, 2]


def test_a_name_that_is_none() -> None:
    """The message is known all the same; its subject is asked for when its turn comes."""
    rows = read(shapes.MESSAGES, {"messageId": 7, "subject": 5, "sendDate": "2026-01-02T03:04:05"})
    assert rows == [wire.Message(7, "2026-01-02T03:04:05")]


def test_half_a_character() -> None:
    """It can't be sent on; the replacement character stands for it, everywhere in the answer."""
    found = read(shapes.LISTS, {"listId": 1, "listName": "half \ud83d"}, {"listId": 2})
    assert [row.list_name for row in found] == ["half \ufffd", None]
    (row,) = read(shapes.CLICKERS, {"emailAddress": "a@x.com", "\udc00": "\ud83d\ude00 \ude00"})
    assert row.email_address == "a@x.com"
    answer, origins = shapes.CLICKERS.decode(body({"emailAddress": "a\ud83d", "ipAddress": "::1"}))
    assert answer.data[0].email_address == "a\ufffd"
    assert origins == [wire.Origin("::1", None)]


@pytest.mark.anyio
async def test_over_http() -> None:
    """One row holds up neither its page nor the account."""
    async with client_of(StandIn(ok([{"listId": None}, {"listId": "5", "listName": "N"}]))) as one:
        assert await one.lists() == [wire.MailingList(5, "N")]
    async with client_of(StandIn(ok([{"linkId": 1, "clickCount": -1}]))) as one:
        with pytest.raises(TemporaryError, match=r"isn't what its API describes"):
            await one.links("L/1/Message/2")


@pytest.mark.anyio
async def test_a_lifetime_as_text() -> None:
    """A token is a token."""
    stand_in = StandIn(ok([]))
    stand_in.token_replies = [status(200, '{"access_token": "t", "expires_in": "3599"}')]
    async with auth_of(stand_in) as auth:
        assert await auth.token() == "t"
