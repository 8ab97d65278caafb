"""A call that fails while others are answered is given up soon: its trouble is its own."""

from traceback import walk_tb

import anyio
import pytest
from aiohttp import web
from listrak_stand_in import Reply, StandIn, client_of, ok, status

from bridge import clock
from bridge.errors import BridgeError, CredentialsError, OversizeError, TemporaryError, is_isolated
from bridge.listrak import answers, calls
from bridge.listrak.answers import MOST_GIVEN_UP
from bridge.listrak.client import Listrak

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("impatient", "no_shortest_wait")]


LISTS = ok([])


def refusing(reply: Reply, lists: Reply = LISTS) -> StandIn:
    """A server that answers all but the lists in one way."""

    def answer(request: web.Request) -> web.StreamResponse:
        return (lists if request.path.endswith("/List") else reply)(request)

    return StandIn(answer)


async def failure(listrak: Listrak) -> TemporaryError:
    with pytest.raises(TemporaryError) as raised:
        await listrak.summary("List/1/Message/2")
    return raised.value


@pytest.mark.parametrize(
    "reply", [status(500), status(503), status(403), status(200, "<html>"), status(200, "[]")]
)
async def test_others_are_answered(reply: Reply) -> None:
    """It is given up long before its deadline; somebody else is asked once to find that out."""
    stand_in = refusing(reply)
    async with client_of(stand_in, deadline=600) as listrak:
        error = await failure(listrak)
    assert error.isolated
    assert is_isolated(error)
    assert not isinstance(error, CredentialsError), "it is about the resource, not about all"
    assert [call.path for call in stand_in.calls].count("/v1/List") == 1


@pytest.mark.parametrize("lists", [status(500), status(401), status(200, "<html>")])
async def test_nobody_is_answered(lists: Reply) -> None:
    """Then it is retried to its deadline: everybody waits for Listrak."""
    async with client_of(refusing(status(500), lists), deadline=0.01) as listrak:
        error = await failure(listrak)
    assert not error.isolated
    assert not is_isolated(error)


async def test_too_many_calls() -> None:
    """Whoever is throttled waits, as all others would be as well."""
    async with client_of(refusing(status(429)), deadline=0.01) as listrak:
        assert not (await failure(listrak)).isolated


async def test_patience_with_too_many_calls() -> None:
    """What is put off by 429, of the token or of the call, is retried beyond its deadline."""
    fault = status(429, Retry_After="0")
    stand_in = StandIn(fault, fault, ok([]))
    stand_in.token_replies = [fault, fault]
    async with client_of(stand_in) as listrak:
        assert not (await listrak.with_deadline(0.0, patience=600.0).lists()).rows
    assert len(stand_in.calls) == 3


def test_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails after it was put off has all of its own time left."""
    moments = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: moments[-1])
    trouble = answers.Answers().trouble("summary")
    trouble.is_time_to_ask()
    assert trouble.deadline(15, 600) == 15
    moments.append(150.0)
    trouble.put_off(throttled=True)
    assert trouble.deadline(15, 600) == 600
    trouble.is_time_to_ask()
    assert trouble.deadline(15, 600) == 65
    assert trouble.deadline(None, 600) is None
    trouble.isolated = True
    assert trouble.deadline(None, 600) == 0


@pytest.mark.parametrize("reply", [status(503), status(400), status(429)])
async def test_a_token_is_everybody_s(reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is had no resource is to blame, although answers to earlier calls still come."""
    monkeypatch.setattr(answers.Trouble, "is_own", lambda _: True)
    stand_in = StandIn(ok([]))
    stand_in.token_replies = [reply] * 100
    async with client_of(stand_in, deadline=0.01) as listrak:
        assert not (await failure(listrak)).isolated


async def test_slow_answers_to_others() -> None:
    """What was asked for before the trouble began says nothing of how it is since."""
    lately = answers.Answers()
    trouble = lately.trouble("summary")
    before = clock.monotonic()
    trouble.is_time_to_ask()
    lately.note("activity", before)
    assert not trouble.is_own()
    lately.note("activity", clock.monotonic())
    assert trouble.is_own()


async def test_others_were_answered_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nobody is asked to find it out."""
    monkeypatch.setattr(answers, "PATIENCE", 0.2)
    monkeypatch.setattr(answers, "PROBE_INTERVAL", 600.0)
    stand_in = refusing(status(500))
    async with client_of(stand_in, deadline=600) as listrak, anyio.create_task_group() as tasks:

        async def others() -> None:
            while True:
                await listrak.lists()
                await anyio.sleep(0.01)

        tasks.start_soon(others)
        assert (await failure(listrak)).isolated
        tasks.cancel_scope.cancel()


async def test_a_resource_that_fails_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many that fail in the same way are not retried each; an answer makes that good."""
    replies = [status(500)]

    def last(request: web.Request) -> web.StreamResponse:
        return replies[-1](request)

    stand_in = refusing(last)
    async with client_of(stand_in, deadline=600) as listrak:
        for _ in range(MOST_GIVEN_UP):
            await failure(listrak)
        monkeypatch.setattr(answers, "PATIENCE", 600.0)
        await listrak.lists()
        before = len(stand_in.calls)
        assert (await failure(listrak)).isolated
        assert len(stand_in.calls) == before + 1
        replies.append(ok({"sentCount": 1}))
        assert (await listrak.summary("List/1/Message/2")).sent_count == 1
        with anyio.move_on_after(0.3) as given_up:
            replies.append(status(500))
            await listrak.summary("List/1/Message/2")
        assert given_up.cancelled_caught, "it is retried again"


async def test_an_oversize_answer_is_of_its_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    """It came, so that Listrak answers."""
    monkeypatch.setattr(calls, "MOST_BYTES", 10)
    async with client_of(refusing(ok({"sentCount": 1_000_000}))) as listrak:
        error = await failure(listrak)
    assert isinstance(error, OversizeError)
    assert is_isolated(error)


@pytest.mark.parametrize("code", [200, 400, 404, 500])
async def test_an_error_holds_no_answer(code: int) -> None:
    """What is kept of a failure has no body of megabytes in the frames that it came from."""
    async with client_of(refusing(status(code, "x" * 100_000)), deadline=0.0) as listrak:
        with pytest.raises(BridgeError) as raised:
            await listrak.summary("List/1/Message/2")
    error: BaseException | None = raised.value
    while error is not None:
        for frame, _ in walk_tb(error.__traceback__):
            for value in frame.f_locals.values():
                assert not (isinstance(value, bytes) and len(value) >= 100_000), frame
        error = error.__context__
