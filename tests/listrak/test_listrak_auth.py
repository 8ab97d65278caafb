"""Access tokens: asked for once, renewed in time, and what a refusal means."""

import json

import anyio
import pytest
from listrak_stand_in import StandIn, auth_of, cut, ok, status

from bridge.errors import CredentialsError, TemporaryError
from bridge.output.texts import line_of

pytestmark = pytest.mark.anyio


async def test_one_token_for_all() -> None:
    """A token serves all requests for as long as it is good; those at once ask once."""
    stand_in = StandIn(ok([]))
    async with auth_of(stand_in) as auth:
        found: list[str] = []

        async def ask() -> None:
            found.append(await auth.token())

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask)
        assert set(found) == {"token-1"}
    assert stand_in.tokens == 1
    assert stand_in.forms == [
        {"grant_type": "client_credentials", "client_id": "an id", "client_secret": "a&secret"}
    ]


@pytest.mark.parametrize(("lifetime", "asked"), [(3599, 1), (61, 1), (30, 1), (0, 3), (-5, 3)])
async def test_renewed_before_it_expires(lifetime: float, asked: int) -> None:
    """A token is renewed a minute before its end; a short-lived one is used for half its life."""
    stand_in = StandIn(ok([]), lifetime=lifetime)
    async with auth_of(stand_in) as auth:
        for _ in range(3):
            await auth.token()
    assert stand_in.tokens == asked


async def test_a_lifetime_that_is_not_told() -> None:
    """Without expires_in a token is taken for as good as usual."""
    stand_in = StandIn(ok([]))
    stand_in.token_replies = [status(200, json.dumps({"access_token": "x", "token_type": "y"}))]
    async with auth_of(stand_in) as auth:
        assert [await auth.token(), await auth.token()] == ["x", "x"]
    assert stand_in.tokens == 1


async def test_refused_tokens_are_forgotten() -> None:
    """A token that the API refuses is renewed, unless another reader did so already."""
    stand_in = StandIn(ok([]))
    async with auth_of(stand_in) as auth:
        first = await auth.token()
        auth.refused(first)
        second = await auth.token()
        auth.refused(first)
        assert (first, second, await auth.token()) == ("token-1", "token-2", "token-2")


@pytest.mark.parametrize(
    "body",
    [
        *({"access_token": text} for text in ("", "two words", "a\nb", "\u00e9", "x" * 8001)),
        *({"access_token": "x", "expires_in": value} for value in ("nan", "inf", 1e300, None)),
    ],
)
async def test_what_is_no_token(body: dict[str, object]) -> None:
    """What no header takes, or would never be renewed, is asked for again."""
    stand_in = StandIn(ok([]))
    stand_in.token_replies = [status(200, json.dumps(body))]
    async with auth_of(stand_in) as auth:
        with pytest.raises(TemporaryError, match="isn't what its API describes") as caught:
            await auth.token()
        assert caught.value.common
        assert await auth.token() == "token-2"


@pytest.mark.parametrize(
    ("code", "body", "says"),
    [
        (400, '{"error":"Invalid Credentials"}', "Invalid Credentials"),
        (401, '{"message":"Authorization was denied for this request."}', "allow-list"),
        (403, "", "allow-list"),
    ],
)
async def test_refused_credentials(code: int, body: str, says: str) -> None:
    """Credentials that are refused are named, and asked about slowly, by however many readers."""
    stand_in = StandIn(ok([]))
    stand_in.token_replies = [status(code, body)]
    async with auth_of(stand_in) as auth:
        for _ in range(5):
            with pytest.raises(CredentialsError, match=says) as caught:
                await auth.token()
            assert caught.value.setting == "LISTRAK_CLIENT_ID, LISTRAK_CLIENT_SECRET"
            assert "a&secret" not in str(caught.value)
    assert stand_in.tokens == 1


@pytest.mark.parametrize("code", [429, 500, 503])
async def test_busy(code: int) -> None:
    """A server that can't answer now is asked again when it said, and nothing is concluded."""
    stand_in = StandIn(ok([]))
    stand_in.token_replies = [status(code, Retry_After="7"), status(code)]
    async with auth_of(stand_in) as auth:
        for seconds in (7.0, None):
            with pytest.raises(TemporaryError) as caught:
                await auth.token()
            assert not isinstance(caught.value, CredentialsError)
            assert caught.value.retry_after == seconds
        assert await auth.token() == "token-3"


async def test_a_token_is_a_secret() -> None:
    """As soon as it is known, and none that is too short to be one."""
    stand_in = StandIn(ok([]))
    stand_in.token_replies = [
        status(200, json.dumps({"access_token": token})) for token in ("e", "eyJhbGciOiJSUzI1NiJ9")
    ]
    async with auth_of(stand_in) as auth:
        for shown in ("no eyJhbGciOiJSUzI1NiJ9", "no [secret]"):
            auth.refused(await auth.token())
            assert line_of("no eyJhbGciOiJSUzI1NiJ9") == shown


@pytest.mark.parametrize("code", [301, 404, 405])
async def test_a_wrong_address(code: int) -> None:
    """Where no token service is, the setting to look at is named, and it goes on asking."""
    stand_in = StandIn(ok([]))
    stand_in.token_replies = [status(code)]
    async with auth_of(stand_in) as auth:
        with pytest.raises(TemporaryError, match="is LISTRAK_TOKEN_URL right") as caught:
            await auth.token()
        assert not isinstance(caught.value, CredentialsError)
        assert await auth.token() == "token-2"


@pytest.mark.parametrize("body", ["", "<html>", "{}", '{"access_token": null}', "[]"])
async def test_not_a_token(body: str) -> None:
    """An answer without a token may pass."""
    stand_in = StandIn(ok([]))
    stand_in.token_replies = [status(200, body)]
    async with auth_of(stand_in) as auth:
        with pytest.raises(TemporaryError, match="isn't what its API describes"):
            await auth.token()
        assert await auth.token() == "token-2"


async def test_no_answer() -> None:
    """A connection that breaks may pass."""
    stand_in = StandIn(ok([]))
    stand_in.token_replies = [cut]
    async with auth_of(stand_in) as auth:
        with pytest.raises(TemporaryError, match="the connection ended before the answer"):
            await auth.token()
        assert await auth.token() == "token-2"
