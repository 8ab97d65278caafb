"""Listrak's wire format without a socket."""

import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import (
    CredentialsError,
    CursorError,
    MissingError,
    RefusedError,
    TemporaryError,
)
from bridge.listrak import requests, wire
from bridge.listrak.origin import Origin, origins_in
from bridge.listrak.refusals import explain

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)

# Requests


@given(TEXT.filter(bool))
def test_cursors_arrive_as_they_came(cursor: str) -> None:
    """A cursor goes back as the token that it was, whatever characters it has."""
    address = requests.url(
        "https://api.example/v1", "List/1/Contact", {"cursor": cursor, "count": 5}
    )
    parts = urlsplit(address)
    assert parts.path == "/v1/List/1/Contact"
    assert parse_qs(parts.query, keep_blank_values=True) == {"cursor": [cursor], "count": ["5"]}
    assert "+" not in parts.query, "a space as %20 is understood everywhere"


def test_url() -> None:
    """What has no value is left out; without any there is no question mark."""
    assert requests.url("https://x/v1", "List") == "https://x/v1/List"
    assert requests.url("https://x/v1", "List", {"startDate": None}) == "https://x/v1/List"
    assert (
        requests.url("https://x/v1", "L", {"a": 0, "b": None, "c": ""}) == "https://x/v1/L?a=0&c="
    )


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("zoe@example.com", "zoe%40example.com"),
        ("a/b?c#d%e@x.y", "a%2Fb%3Fc%23d%25e%40x.y"),
        ("zoë+1@x.y", "zo%C3%AB%2B1%40x.y"),
    ],
)
def test_quoted(email: str, expected: str) -> None:
    """An email address is one segment of a path."""
    assert requests.quoted(email) == expected


def test_token_form() -> None:
    """A token request is a form, its values encoded."""
    form = requests.token_form("an id", "s&cr=t+ü")
    assert parse_qs(form.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["an id"],
        "client_secret": ["s&cr=t+ü"],
    }


# Cursors


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        ("abc123", "abc123"),
        ("YWJj+/==", "YWJj+/=="),
        ("/w8ABC+=", "/w8ABC+="),
        ("a b&c=d", "a b&c=d"),
        ("https://api.example/v1/List/1/Contact?count=5&cursor=abc", "abc"),
        ("https://api.example/v1/List?cursor=a%2Bb%3D%3D", "a+b=="),
        ("/email/v1/List?cursor=abc&count=5", "abc"),
        ("?cursor=abc", "abc"),
        ("https://api.example/v1/List?page=2", "https://api.example/v1/List?page=2"),
    ],
)
def test_next_cursor(text: str | None, expected: str | None) -> None:
    """The next cursor is an opaque token, or the parameter of a URI; null ends the collection."""
    assert wire.next_cursor(text) == expected


@given(TEXT.filter(bool))
def test_next_cursor_of_a_uri(cursor: str) -> None:
    """Whatever the token: in a URI it is found again."""
    address = f"https://api.example/v1/List/1?{urlencode({'count': 5, 'cursor': cursor})}"
    assert wire.next_cursor(address) == cursor


@pytest.mark.parametrize(("rows", "pages"), [(0, 1), (0.1, 1), (50, 1), (50.5, 2), (101, 3)])
def test_pages_of(rows: float, pages: int) -> None:
    """To find out that there are no rows takes a page, too."""
    assert wire.pages_of(rows, 50) == pages


# Answers


def test_unknown_fields_are_skipped() -> None:
    """New fields may appear at any time, at any level."""
    body = json.dumps(
        {
            "status": 200,
            "data": [{"emailAddress": "a@x.y", "open": True, "newField": {"a": [1, None]}}],
            "nextPageCursor": None,
            "somethingElse": 7,
        }
    ).encode()
    (row,) = wire.decode(body, wire.Envelope[list[wire.Activity]]).data
    assert (row.email_address, row.open, row.click_count) == ("a@x.y", True, None)


@pytest.mark.parametrize(
    "row",
    [
        {},
        dict.fromkeys(
            ["emailAddress", "sendDate", "activityDate", "open", "bounce", "abuse", "unsubscribe"]
        ),
        {"clickCount": None, "orderTotal": None},
        {"orderTotal": 5},
        {"orderTotal": 5.5},
    ],
)
def test_any_field_may_be_null(row: dict[str, Any]) -> None:
    """Fields of an activity row may be missing or null, and a total may be whole."""
    body = json.dumps({"data": [row]}).encode()
    envelope = wire.decode(body, wire.Envelope[list[wire.Activity]])
    assert len(envelope.data) == 1
    assert envelope.next_page_cursor is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"data": 7}', b'{"data": ["\xff"]}'])
def test_not_what_the_api_describes(body: bytes) -> None:
    """An answer of another shape may pass: a proxy's page, an answer cut short."""
    with pytest.raises(TemporaryError, match="isn't what its API describes"):
        wire.decode(body, wire.Envelope[list[wire.Activity]])


def refusal(status: int, *, paging: bool = False, **said: str) -> Exception:
    return explain(status, json.dumps(said).encode(), "activity", paging=paging)


@pytest.mark.parametrize(
    ("status", "first", "later"),
    [
        (400, RefusedError, CursorError),
        (401, CredentialsError, CredentialsError),
        (403, CredentialsError, CredentialsError),
        (404, MissingError, CursorError),
        (405, RefusedError, RefusedError),
        (408, TemporaryError, TemporaryError),
        (410, MissingError, CursorError),
        (422, RefusedError, CursorError),
        (429, TemporaryError, TemporaryError),
        (500, TemporaryError, TemporaryError),
        (501, TemporaryError, TemporaryError),
        (503, TemporaryError, TemporaryError),
        (301, TemporaryError, TemporaryError),
        (307, TemporaryError, TemporaryError),
    ],
)
def test_explain(status: int, first: type[Exception], later: type[Exception]) -> None:
    """A refusal is the caller's next move; with a cursor it may be the cursor that is refused."""
    assert type(refusal(status)) is first
    assert type(refusal(status, paging=True)) is later


def test_explanations_tell_what_was_said() -> None:
    """The message names the status, the resource and Listrak's own words."""
    said = str(refusal(400, error="ERROR_INVALID_PARAMETER", message="Bad value for X."))
    assert "400" in said
    assert "activity" in said
    assert "Bad value for X." in said
    assert "ERROR_X" in str(refusal(500, error="ERROR_X"))
    assert "no reason given" in str(explain(502, b"<html>\xff", "lists"))


def test_denied_tells_the_likely_causes() -> None:
    """A 401 looks the same whatever its cause, so all the likely ones are told."""
    for said in (
        refusal(401, message="Authorization was denied for this request."),
        refusal(401, error="ERROR_UNAUTHORIZED", message="x"),
        explain(403, b"", "lists"),
    ):
        for likely in ("paused", "allow-list", "scope", "secret", "Log tab"):
            assert likely in str(said)
        assert isinstance(said, CredentialsError)
        assert said.setting == "LISTRAK_CLIENT_ID, LISTRAK_CLIENT_SECRET"


# Origins


def page(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"data": rows, "nextPageCursor": None}).encode()


TODAY = {
    "abuse": False,
    "activityDate": "2026-01-01T00:00:00",
    "bounce": True,
    "bounceReason": "urgent: no agent at this IP address, ip",
    "click": False,
    "clickCount": 0,
    "emailAddress": "agent.ip@argentina.example",
    "open": True,
    "orderTotal": None,
    "read": False,
    "sendDate": "2026-01-01T00:00:00",
    "unsubscribe": False,
    "externalContactID": "ip",
}


PLAIN = {"emailAddress": "zoe@example.com", "open": True, "sendDate": "2026-01-01T00:00:00"}


def test_no_origins_today() -> None:
    """Today's rows tell neither address nor browser, whatever their values say."""
    assert origins_in(page(TODAY, TODAY)) is None
    assert origins_in(page()) is None


@pytest.mark.parametrize(
    "name",
    [
        "ip",
        "IP",
        "Ip",
        "ipAddress",
        "IPAddress",
        "ipaddress",
        "IPADDRESS",
        "IpAddress",
        "IPaddress",
        "ip_address",
        "IP_ADDRESS",
        "Ip_Address",
        "ip-address",
        "ipAddr",
        "clientIp",
        "clientIP",
        "client_ip",
        "clientIpAddress",
        "openIpAddress",
        "openerIp",
        "clickIPAddress",
        "contactIp",
        "remoteIp",
        "sourceIp",
        "userIp",
        "visitorIp",
    ],
)
def test_names_of_an_address(name: str) -> None:
    """An IP address is found under any plausible name, in any spelling of it."""
    rows = [PLAIN, PLAIN | {name: "203.0.113.7"}, PLAIN | {name: None}, PLAIN | {name: ""}]
    nothing = Origin(None, None)
    assert origins_in(page(*rows)) == [nothing, Origin("203.0.113.7", None), nothing, nothing]


@pytest.mark.parametrize(
    "name",
    [
        "userAgent",
        "UserAgent",
        "useragent",
        "user_agent",
        "USER_AGENT",
        "User-Agent",
        "userAgentString",
        "clientUserAgent",
        "openUserAgent",
        "browserUserAgent",
    ],
)
def test_names_of_a_browser(name: str) -> None:
    """So is a user agent."""
    assert origins_in(page(PLAIN | {name: "Mozilla/5.0 🎉"})) == [Origin(None, "Mozilla/5.0 🎉")]


def test_both() -> None:
    """Each row has its own; other fields with such words in them are none."""
    found = origins_in(
        page(
            TODAY | {"ip": "::1", "userAgent": "A"},
            TODAY | {"zip": "10001", "agentName": "Smith", "ip": 7},
        )
    )
    assert found == [Origin("::1", "A"), Origin(None, None)]


@given(st.dictionaries(st.sampled_from(["zip", "agent", "ship", "tip", "emailAddress"]), TEXT))
def test_never_an_error(row: dict[str, str]) -> None:
    """A page that has hints and no origin is a page without."""
    assert origins_in(page(row)) is None
