"""Segment's wire format without a socket."""

import gzip
import json
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.segment import wire
from bridge.segment.wire import Verdict
from bridge.transport.http import Answer

EVENTS = st.lists(
    st.dictionaries(st.text("abc"), st.text(st.characters(exclude_categories=["Cs"]))).map(
        lambda event: json.dumps(event, ensure_ascii=False).encode()
    ),
    min_size=1,
    max_size=30,
)

RETRIED = {408, 410, 429, 460, *range(500, 600)} - {501, 505}
SPLIT = {400, 413, 422}


@pytest.mark.parametrize("status", range(100, 600))
def test_verdict(status: int) -> None:
    """Each status has one meaning: taken, try again, find the bad event, or who we are.

    None means that anything may be dropped.
    """
    expected = Verdict.DENIED
    if 200 <= status < 300:
        expected = Verdict.ACCEPTED
    elif status < 400:
        expected = Verdict.FOREIGN
    elif status in RETRIED:
        expected = Verdict.RETRY
    elif status in SPLIT:
        expected = Verdict.SPLIT
    assert wire.verdict(Answer(status, {}, b'{"success": true}')) is expected


FOREIGN = [b"", b"<html>", b'{"success": false}', b"\xff", b"[]", b"null", b'"ok"', b"true"]
FOREIGN += [b'{"success": "true"}', b'{"success": null}', b'{"error": "log in"}', b"[" * 100_000]
FOREIGN += [b'{"success": true, "code": "invalid"}', b'{"success": true', b'{"success": 1}']
FOREIGN += [b'{"message": "Please log in"}', b'{"status": "ok"}']


@pytest.mark.parametrize("body", FOREIGN, ids=lambda body: body[:20])
@pytest.mark.parametrize("status", [200, 202, 204])
def test_acceptance_is_said_in_json(status: int, body: bytes) -> None:
    """A portal or a proxy answers 200 as well: nothing was stored then."""
    assert wire.verdict(Answer(status, {}, body)) is Verdict.FOREIGN


@pytest.mark.parametrize("body", [b'{"success": true}', b"{}", b'{"success":true,"new":[1]}\n'])
def test_accepted(body: bytes) -> None:
    """JSON that doesn't say otherwise; fields may be added to it."""
    assert wire.verdict(Answer(200, {}, body)) is Verdict.ACCEPTED


@given(EVENTS)
def test_body(events: list[bytes]) -> None:
    """A body is a gzipped batch of the events, in order, and nothing else (no sentAt)."""
    body = wire.body(events)
    assert body[:2] == b"\x1f\x8b"
    assert json.loads(gzip.decompress(body)) == {"batch": [json.loads(event) for event in events]}


@given(EVENTS)
def test_size(events: list[bytes]) -> None:
    """The size that is reckoned with is the body's before compression, to the byte."""
    found = wire.size(len(events), sum(map(len, events)))
    assert found == len(gzip.decompress(wire.body(events)))


@pytest.mark.parametrize("key", ["a-key", "k:with:colons", "k" * 200])
def test_headers(key: str) -> None:
    """The write key is the user name of Basic auth; the body is JSON, gzipped."""
    headers = wire.headers(key)
    scheme, _, code = headers["Authorization"].partition(" ")
    assert (scheme, b64decode(code).decode()) == ("Basic", f"{key}:")
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Encoding"] == "gzip"
