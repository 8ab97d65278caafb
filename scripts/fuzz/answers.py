"""Targets that read complete answers of both servers: the clients, and the mapping behind them."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, cast

import msgspec

from bridge.clock import SourceClock
from bridge.listrak import wire
from bridge.listrak.auth import Auth
from bridge.listrak.client import Listrak, RowFilter
from bridge.listrak.pages import PageOf
from bridge.listrak.shapes import FIELD_GROUPS, FIELDS
from bridge.metrics import Metrics
from bridge.output.redaction import SECRETS
from bridge.output.texts import escaped, line_of_answer
from bridge.segment import wire as segment_wire
from bridge.segment.client import Segment
from bridge.transport.http import Answer, Http
from fuzz.given_answer import Given, GivenHttp
from fuzz.mapping import mapped
from fuzz.mutation import Mutator
from fuzz.target import SECRET, FlawError, Target

PATH: Final = "List/5/Message/7"
FIELDS_PATH: Final = "List/5/SegmentationFieldGroup"
LATER: Final = RowFilter("Open", "Activity", "2026-05-01T00:00:00", "2026-05-02T00:00:00")

RESOURCES: Final[dict[str, Callable[[Listrak], Awaitable[Any]]]] = {
    "lists": lambda client: client.lists(),
    "campaigns": lambda client: client.campaigns(5),
    # Apart: for each group its fields are asked for.
    "field-groups": lambda client: client.listing(FIELDS_PATH, FIELD_GROUPS, "groups"),
    "fields": lambda client: client.listing(f"{FIELDS_PATH}/1", FIELDS, "profile fields"),
    "messages": lambda client: client.messages(5),
    "split-tests": lambda client: client.split_tests(5),
    "split-test-messages": lambda client: client.split_test_messages(5, 1),
    "conversations": lambda client: client.conversations(5),
    "conversation-messages": lambda client: client.conversation_messages(5, 3),
    "transactional": lambda client: client.transactional_messages(5),
    "message": lambda client: client.message(PATH),
    "status": lambda client: client.started(PATH),
    "summary": lambda client: client.summary(PATH),
    "links": lambda client: client.links(PATH),
    "activity": lambda client: client.activity(PATH, "Start"),
    "activity-later": lambda client: client.activity(PATH, "a-cursor", LATER),
    "clickers": lambda client: client.clickers(PATH, 9, "Start"),
    "contacts": lambda client: client.contacts(5, "Subscribed", "Start", 777, None),
    "contact": lambda client: client.contact(5, "ann@example.com", 777),
}
"""By name, what is asked for."""

LONGEST_REASON: Final = 200
"""Characters at most of why a field can't be read."""

UNBOUNDED: Final = {"value"} | {
    field.encode_name
    for row in (wire.DocumentedActivity, wire.Link)
    for field in msgspec.structs.fields(row)
    if field.type is Any
}
"""Fields of which only text is made, or nothing at all."""

METRICS: Final = Metrics()


class AnswerTarget(Target):
    """A target whose inputs are answers."""

    @abstractmethod
    async def read(self, given: Given) -> str:
        """As of `take`."""

    async def take(self, data: bytes) -> str:
        """Reads an answer."""
        return await self.read(Given.of(data))

    def mutated(self, data: bytes, mutator: Mutator) -> bytes:
        """Another answer."""
        return Given.of(data).mutated(mutator).data

    def smaller(self, data: bytes) -> Iterator[bytes]:
        """Smaller answers."""
        return (given.data for given in Given.of(data).smaller())


class ListrakAnswers(AnswerTarget):
    """Answers of Listrak's API: by the client, then as events."""

    name = "listrak"
    what = "answers of each resource, decoded and mapped"

    def __init__(self) -> None:
        # Both go on from input to input, as a new token takes longer than all else.
        self._given = GivenHttp()
        self._http = cast(Http, self._given)
        self._auth = _auth_of(self._http)

    async def read(self, given: Given) -> str:
        """Asks for the resource that the input names, which is answered by it."""
        self._given.answer = given.answer
        clock = SourceClock()
        clock.observe(given.headers.get("Date", ""))
        client = Listrak(
            self._http,
            self._auth,
            METRICS,
            clock,
            base="http://localhost/v1",
            requests_per_second=0,
            deadline=0,
        )
        ask = RESOURCES.get(given.what) or RESOURCES["activity"]
        read = await ask(client)
        require_sound(read)
        if isinstance(read, PageOf):
            for row in read.unread:
                if len(row.reason) > LONGEST_REASON * len(row.fields) or "\n" in row.reason:
                    raise FlawError("the reason of a row that can't be read is no short line")
        return f"{given.what}: {mapped(given.what, read)} {_shape_of(read)}"


def _auth_of(http: Http) -> Auth:
    return Auth(http, url="http://localhost/Token", client_id="id", client_secret=SECRET)


class TokenAnswers(AnswerTarget):
    """Answers of the token endpoint."""

    name = "token"
    what = "answers of the token endpoint"

    async def read(self, given: Given) -> str:
        """Asks for a token; the input is the answer."""
        http = cast(Http, GivenHttp(token=given.answer))
        auth = _auth_of(http)
        try:
            token = await auth.token()
        finally:
            # Those of other inputs would hide what this one says.
            SECRETS.clear()
            SECRETS.add(SECRET)
        if not (token.isascii() and token.isprintable()) or " " in token or not token:
            raise FlawError("no header takes this token")
        if not abs(auth._renew_at) < 1e12:
            raise FlawError("the token is never renewed")
        return f"a token of {min(len(token), 100)} characters"


class SegmentAnswers(AnswerTarget):
    """Answers of Segment."""

    name = "segment"
    what = "answers of Segment to a batch"
    batch = segment_wire.body([b"{}"])

    async def read(self, given: Given) -> str:
        """Posts a batch; the input is the answer."""
        http = cast(Http, GivenHttp(given.answer))
        client = Segment(http, METRICS, base="http://localhost/v1", write_key=SECRET)
        verdict, answer = await client.post(self.batch)
        return f"{verdict.value}: {line_of_answer(answer.body)[:9]} {_told(answer)}"


def _told(answer: Answer) -> str:
    """What is told of an answer, if that tells too much; "" otherwise."""
    line = line_of_answer(answer.body)
    if escaped(line) != line:
        raise FlawError("the line of an answer has a control character")
    return line if SECRET in line or "jane.fuzz@" in line else ""


def require_sound(read: Any) -> None:
    """Raises FlawError for what can't be kept in SQLite or sent on as JSON."""
    if isinstance(read, PageOf):
        read = read.rows
    text = msgspec.json.encode(read)
    if b"\\u0000" in text:
        raise FlawError("a text has a NUL")
    for value in _leaves(msgspec.to_builtins(read)):
        if isinstance(value, int) and not -1 <= value < 2**63:
            raise FlawError("a number is out of range")
        if isinstance(value, float) and not abs(value) < 1e300:
            raise FlawError("an amount is out of range")


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = [one for name, one in value.items() if name not in UNBOUNDED]
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _shape_of(read: Any) -> str:
    """What was read, in so few words that few inputs have others."""
    if not isinstance(read, PageOf):
        return type(read).__name__
    unread = sorted({name for row in read.unread for name in row.fields})
    return f"{min(len(read.rows), 3)} rows, unread {', '.join(unread)}"
