"""Answers that don't fit their shape: what is certain is read, and what isn't holds up itself."""

import json
from typing import Any

import msgspec
import pytest
from listrak_stand_in import StandIn, auth_of, client_of, ok, status

from bridge.errors import TemporaryError
from bridge.listrak import shapes, wire
from bridge.listrak.origin import Origin
from bridge.listrak.shapes import Shape

NESTED: list[Any] = []
for _ in range(200):
    NESTED = [NESTED]


def body(*rows: Any) -> bytes:
    return json.dumps({"data": list(rows), "nextPageCursor": None}).encode()


def read(shape: Shape[Any], *rows: Any) -> Any:
    return shape.decode(body(*rows)).envelope.data


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
        ("clickCount", float("nan")),
        ("orderTotal", ""),
        ("orderTotal", True),
        ("orderTotal", float("nan")),
        ("orderTotal", float("inf")),
        ("orderTotal", 1e300),
        ("orderTotal", "nan"),
        ("emailAddress", 5),
        ("emailAddress", NESTED),
        ("sendDate", ["2026-01-01"]),
        ("activityDate", {}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_not_certain(field: str, value: Any) -> None:
    """It is told, with what it is and none of its words; the rest of the row is read, and all other
    rows."""
    fine = {"emailAddress": "jane@example.com", "sendDate": "2026-01-01T00:00:00", "bounce": True}
    answer = shapes.ACTIVITIES.decode(body(fine, {**fine, field: value}, fine))
    (unread,) = answer.unread
    assert (unread.number, list(unread.fields)) == (1, [field])
    assert "jane" not in unread.reason
    assert len(unread.reason) < 100
    for name, read in fine.items():
        attribute = {"emailAddress": "email_address", "sendDate": "send_date"}.get(name, name)
        for number, row in enumerate(answer.envelope.data):
            kept = (number, name) != (1, field)
            stand_in = wire.NO_DATE if name == "sendDate" else None
            assert getattr(row, attribute) == (read if kept else stand_in)


@pytest.mark.parametrize("bad", [None, "jane@example.com", 5, [], [{}], True], ids=repr)
def test_what_is_no_row(bad: Any) -> None:
    """Nothing of it can be read; all other rows are."""
    for shape in (shapes.ACTIVITIES, shapes.CLICKERS, shapes.CONTACTS):
        answer = shape.decode(body({"emailAddress": "a@x.y"}, bad, {"emailAddress": "b@x.y"}))
        assert [row.email_address for row in answer.envelope.data] == ["a@x.y", "b@x.y"]
        (unread,) = answer.unread
        assert (unread.number, unread.raw, "jane" in unread.reason) == (None, bad, False)


def test_origins_of_certain_rows() -> None:
    """Addresses and browsers stay with their rows."""
    rows: list[Any] = [None, {"emailAddress": "a@x.y", "ipAddress": "::1"}, 5]
    rows += [{"emailAddress": "b@x.y", "clickDate": 7, "ipAddress": "::2"}]
    answer = shapes.CLICKERS.decode(body(*rows))
    assert answer.origins == [Origin("::1", None), Origin("::2", None)]
    assert [row.number for row in answer.unread] == [None, None, 1]


def test_profile_values() -> None:
    """Values are read one by one, as they are: a number of any length, a text of digits."""
    fine = [{"segmentationFieldId": 7, "value": 123456789012345678901}]
    for bad in ([{"segmentationFieldId": 8, "value": {}}], [None], [{"segmentationFieldId": "x"}]):
        answer = shapes.CONTACTS.decode(body({"segmentationFieldValues": fine + bad}))
        (row,) = answer.envelope.data
        assert row.segmentation_field_values == [wire.ProfileValue(7, 123456789012345678901)]
        assert list(answer.unread[0].fields) == ["segmentationFieldValues"]
    (row,) = read(shapes.CONTACTS, {"segmentationFieldValues": [{"value": "007"}], "x": "\0"})
    assert row.segmentation_field_values[0].value == "007"


def test_a_link_needs_its_address() -> None:
    """All its clicks carry it; how many there are may be unknown."""
    answer = shapes.LINKS.decode(
        body({"linkId": 1, "linkUrl": 5}, {"linkId": 2, "clickCount": -1}, {"linkId": 3})
    )
    assert [(link.link_id, link.click_count) for link in answer.envelope.data] == [
        (2, None),
        (3, None),
    ]
    assert [list(row.fields) for row in answer.unread] == [["linkUrl"], ["clickCount"]]


@pytest.mark.parametrize(
    "data", [None, "x", 5, [], {"sentCount": -1}, {"revenue": float("inf")}, {"openCount": "x"}]
)
def test_a_summary_of_nothing(data: Any) -> None:
    """What it doesn't tell is unknown, and all else counts."""
    whole = {"data": {**data, "bounceCount": 7} if isinstance(data, dict) else data}
    answer = shapes.SUMMARY.decode(json.dumps(whole).encode())
    expected = wire.Summary(bounce_count=7 if isinstance(data, dict) else None)
    assert (answer.envelope.data, len(answer.unread)) == (expected, 1)


def test_a_message_is_the_one_that_was_asked_for() -> None:
    """Whatever its id is in the answer; and what it is called is told as far as it is text."""
    told = {"messageId": None, "subject": 5, "sendDate": "2026-01-01T00:00:00", "campaignId": -1}
    answer = shapes.MESSAGE.decode(json.dumps({"data": told}).encode())
    unread = wire.MessageDetail(0, "2026-01-01T00:00:00", wire.UNREAD_ID, wire.UNREAD_NAME)
    assert answer.envelope.data == unread


@pytest.mark.parametrize(
    "text",
    [b"", b"<html>", b'{"data": [', b"\xff", b"[" * 100_000, b"[]", b"7", b'{"data": 5}'],
)
@pytest.mark.parametrize("shape", [shapes.ACTIVITIES, shapes.LISTS, shapes.CONTACT])
def test_what_is_no_answer(shape: Shape[Any], text: bytes) -> None:
    """Whatever it is, it is one error."""
    with pytest.raises(wire.UNREADABLE):
        shape.decode(text)


@pytest.mark.parametrize(
    "data",
    [
        b"7," * 300_000 + b"7",
        b"[]" * 300_000,
        b'{"x": {}}' * 150_000,
        b'"%b"' % (b"x" * 2**21),
        b'"%b", ' % (b"\xf0\x9f\x98\x80" + b"x" * 2**18) * 20 + b"7",
    ],
    ids=["values", "lists", "objects", "text", "wide"],
)
def test_what_is_too_much(data: bytes) -> None:
    """It is no answer of Listrak, whatever it holds: to read it would take long, and all memory."""
    with pytest.raises(msgspec.DecodeError, match="than an answer has"):
        shapes.ACTIVITIES.decode(b'{"data": [{"open": "x", "y": [%b]}]}' % data)


def test_bytes_that_are_no_text() -> None:
    """Like half a character; and a control character that isn't escaped is one."""
    answer = shapes.LISTS.decode(
        b'{"data": [{"listId": 1, "listName": "a\xffb\tc"}, {"listId": 2}]}'
    )
    assert [row.list_name for row in answer.envelope.data] == ["a\ufffdb\tc", None]


def test_a_number_of_many_digits() -> None:
    """It is beyond all use, and holds up nothing else."""
    whole = b'{"data": [{"linkId": 1, "clickCount": %b}, {"linkId": 2}]}' % (b"9" * 10_000)
    answer = shapes.LINKS.decode(whole)
    assert [link.link_id for link in answer.envelope.data] == [1, 2]
    assert answer.unread[0].fields == {"clickCount": "the number of 10000 digits"}


def test_nul() -> None:
    """It is removed from every text, wherever it stands, and nothing else is."""
    (row,) = read(shapes.ACTIVITIES, {"emailAddress": "a\0b@x.y\0", "sendDate": "\0", "open": True})
    assert (row.email_address, row.send_date, row.open) == ("ab@x.y", "", True)
    (row,) = read(shapes.LISTS, {"listId": 1, "listName": "\\u0000 \\\\u0000"})
    assert row.list_name == "\\u0000 \\\\u0000"


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
    for subject in (5, "s" * 1001):
        row = {"messageId": 7, "subject": subject, "sendDate": "2026-01-02T03:04:05"}
        rows = read(shapes.MESSAGES, row)
        assert rows == [wire.Message(7, "2026-01-02T03:04:05", None, wire.UNREAD_NAME)]


def test_half_a_character() -> None:
    """It can't be sent on; the replacement character stands for it, everywhere in the answer."""
    found = read(shapes.LISTS, {"listId": 1, "listName": "half \ud83d"}, {"listId": 2})
    assert [row.list_name for row in found] == ["half \ufffd", None]
    (row,) = read(shapes.CLICKERS, {"emailAddress": "a@x.com", "\udc00": "\ud83d\ude00 \ude00"})
    assert row.email_address == "a@x.com"
    answer = shapes.CLICKERS.decode(body({"emailAddress": "a\ud83d", "ipAddress": "::1"}))
    assert answer.envelope.data[0].email_address == "a\ufffd"
    assert answer.origins == [Origin("::1", None)]


@pytest.mark.anyio
async def test_over_http() -> None:
    """One row holds up neither its page nor the account."""
    async with client_of(StandIn(ok([{"listId": None}, {"listId": "5", "listName": "N"}]))) as one:
        assert (await one.lists()).rows == [wire.MailingList(5, "N")]
    async with client_of(StandIn(ok([{"linkId": 1, "clickCount": -1}]))) as one:
        assert await one.links("L/1/Message/2") == [wire.Link(1)]
    async with client_of(StandIn(ok({"not": "a list"}))) as one:
        with pytest.raises(TemporaryError, match=r"isn't what its API describes"):
            await one.links("L/1/Message/2")


@pytest.mark.anyio
async def test_a_lifetime_as_text() -> None:
    """A token is a token."""
    stand_in = StandIn(ok([]))
    stand_in.token_replies = [status(200, '{"access_token": "t", "expires_in": "3599"}')]
    async with auth_of(stand_in) as auth:
        assert await auth.token() == "t"


@pytest.mark.parametrize("row", ["null", "{}", "[]", "1"])
def test_far_too_many_rows(row: str) -> None:
    """Megabytes of rows of a few bytes are no answer: what they are read as is far larger."""
    many = f'{{"data": [{",".join([row] * 500_000)}]}}'.encode()
    for shape in (shapes.CONTACTS, shapes.ACTIVITIES, shapes.LISTS):
        with pytest.raises(msgspec.DecodeError, match="than an answer has"):
            shape.decode(many)
