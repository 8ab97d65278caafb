"""Faults of single resources of both servers, drawn from a seed; and what they concern."""

import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

from histories.account import LISTS

from bridge.sandbox.account import Message
from bridge.sandbox.bad_values import VALUES, BadValues
from bridge.sandbox.fault import Empty, Fault, Status
from bridge.sandbox.faults import Faults
from bridge.sandbox.world import World

CLICK: Final = "Email Link Clicked"

ANSWERS: Final = (
    *(f"status:{code}" for code in (400, 403, 404, 410, 422, 500, 502, 503)),
    *("torn", "cut_short", "garbage", "deep", "no_http", "not_packed", "reset", "lost"),
    *("blank:200", "blank:204", "charset:utf-16", "redirect", "silent"),
    *(f"wrong_type:{kind}" for kind in ("null", "text", "number", "true", "list", "object")),
    *(f"wrong_type:{kind},bare=true" for kind in ("null", "text", "number", "list")),
    *('status:200,body={"data":null}', "empty", "empty:true", "huge:20000000"),
)
"""Answers of a resource that nobody can do anything with."""

PASSING: Final = (*ANSWERS, "denial:401", "denial:403", "throttle:zero", "throttle:date")
"""Answers that come only a few times."""

RETRIED: Final = {
    *("torn", "cut_short", "garbage", "deep", "no_http", "not_packed", "reset", "lost", "blank"),
    *("silent", "throttle"),
}
"""Names of answers that are retried at once; others are believed, or a refusal."""

OF_SEGMENT: Final = (
    *(f"status:{code}" for code in (401, 403, 408, 429, 500, 503)),
    *("torn", "garbage", "reset", "lost", "silent", "blank:200", "throttle:zero"),
)
"""Answers of Segment that refuse no event."""

FIELDS: Final = {
    "Activity": (
        *("abuse", "activityDate", "bounce", "clickCount", "emailAddress", "open"),
        *("orderTotal", "sendDate", "unsubscribe", ""),
    ),
    "Clicker": ("emailAddress", "clickDate", ""),
    "Link": ("linkId", "linkUrl", "clickCount", "linkDescription", ""),
    "Summary": (
        *("bounceCount", "clickCount", "conversionCount", "openCount", "revenue"),
        *("sentCount", "unsubscribeCount", ""),
    ),
    "Contact": (
        *("emailAddress", "subscriptionState", "unsubscribeDate", "unsubscribeMethod"),
        *("segmentationFieldValues", "subscribeDate", "resubscribeDate", ""),
    ),
    "Message": ("messageId", "sendDate", "messageStatus", "campaignId", "subject", ""),
    "Conversation": ("conversationId", "conversationName", "campaignId", "status", ""),
    "TransactionalMessage": ("transactionalMessageId", "campaignId", "subject", ""),
    "SplitTest": ("splitTestId", "startDate", "endDate", "status", ""),
    "Campaign": ("campaignId", "campaignName", ""),
    "SegmentationField": ("segmentationFieldId", "segmentationFieldName", ""),
    "List": ("listId", "listName", ""),
}
"""Fields that are read of a resource, "" for all of a row."""


def drawn_faults(rng: random.Random, world: World) -> list[Fault]:
    """Some faults of Listrak, each of one resource of the world."""
    return [_drawn(rng, world) for _ in range(rng.randint(1, 3))]


def drawn_fault_of_segment(rng: random.Random) -> Fault:
    """A fault of Segment that passes."""
    return Faults.parse(f"{rng.choice(OF_SEGMENT)},times={rng.randint(1, 4)}")


def _drawn(rng: random.Random, world: World) -> Fault:
    path = rng.choice([*_resources(rng, world)])
    luck = rng.random()
    if luck < 0.5:
        fields = FIELDS[path.removesuffix("$").rpartition("/")[2]]
        draws = [(rng.choice(fields), rng.choice([*VALUES])) for _ in range(rng.randint(1, 4))]
        return BadValues.drawn(draws, rng.choice((0.1, 0.4, 1.0)), path)
    if luck < 0.75:
        return Faults.parse(f"{rng.choice(PASSING)},path={path},times={rng.randint(1, 2)}")
    return Faults.parse(f"{rng.choice(ANSWERS)},path={path}")


def _resources(rng: random.Random, world: World) -> Iterator[str]:
    """A path of each kind of resource, of any list."""
    owner = world.lists[rng.choice(LISTS)]
    base = f"/List/{owner.list_id}"
    for name in ("Contact", "Message", "Conversation", "TransactionalMessage", "Campaign"):
        yield f"{base}/{name}$"
    yield f"{base}/SplitTest$"
    yield "/SegmentationField$"
    yield "/v1/List$"
    if owner.split_tests:
        yield f"{base}/SplitTest/{rng.choice([*owner.split_tests])}/Message$"
    yield f"{base}/Conversation/{rng.choice([*owner.conversations])}/Message$"
    message = rng.choice(owner.emails())
    own = path_of(message)
    yield from (f"{own}/Activity$", f"{own}/Activity$", f"{own}/Summary$")
    if message.links:
        yield f"{own}/Link$"
        yield f"{own}/Link/{rng.choice(message.links).link_id}/Clicker$"


def path_of(message: Message) -> str:
    """The path of a message, after the version."""
    base = f"/List/{message.list_id}"
    if message.kind == "conversation":
        assert message.conversation is not None
        talk = message.conversation.conversation_id
        return f"{base}/Conversation/{talk}/Message/{message.message_id}"
    if message.kind == "transactional":
        return f"{base}/TransactionalMessage/{message.message_id}"
    return f"{base}/Message/{message.message_id}"


def is_retried(fault: Fault) -> bool:
    """Tells whether what is asked for is asked for again at once."""
    return fault.name in RETRIED or (isinstance(fault, Status) and fault.code >= 500)


class Concern:
    """What an event can't be known without.

    list_id: whose event it is.
    paths: of the requests that it takes, their ends.
    marks: ids, and the address, by which rows of it are told.
    """

    def __init__(self, world: World, event: Mapping[str, Any]) -> None:
        told = event.get("properties") or {}
        traits = event.get("traits") or {}
        named = [name.rpartition("_")[2] for name in traits if name.startswith("listrak_list_")]
        self.list_id = int(told.get("list_id") or named[0])
        self.marks = {event["anonymousId"], str(self.list_id)}
        base = f"/v1/List/{self.list_id}"
        self.paths = {"/v1/List"}
        self.is_unsubscribe = event.get("event") == "Unsubscribed"
        if event["type"] == "identify":
            self.paths |= {f"{base}/Contact", f"{base}/Contact/{event['anonymousId']}"}
            self.paths |= {f"{base}/SegmentationFieldGroup"}
            for group in world.lists[self.list_id].groups:
                self.paths |= {f"{base}/SegmentationFieldGroup/{group}/SegmentationField"}
        elif not self.is_unsubscribe:
            self._add_message(world, base, event, told)

    def _add_message(
        self, world: World, base: str, event: Mapping[str, Any], told: Mapping[str, Any]
    ) -> None:
        messages = world.lists[self.list_id].emails()
        message = next(one for one in messages if str(one.message_id) == told["email_id"])
        own = f"/v1{path_of(message)}"
        self.paths |= {own, f"{own}/Activity", f"{base}/Campaign"}
        self.marks |= {told["email_id"], str(message.campaign_id)}
        if message.kind == "conversation":
            assert message.conversation is not None
            talk = str(message.conversation.conversation_id)
            self.marks |= {talk, str(message.conversation.campaign_id)}
            self.paths |= {f"{base}/Conversation", f"{base}/Conversation/{talk}/Message"}
        elif message.kind == "transactional":
            self.paths.add(f"{base}/TransactionalMessage")
        else:
            self.paths.add(f"{base}/Message")
            for test in world.lists[self.list_id].split_tests.values():
                if message in (one for _, one in test.messages):
                    number = str(test.split_test_id)
                    self.marks.add(number)
                    self.paths |= {f"{base}/SplitTest", f"{base}/SplitTest/{number}/Message"}
        if event["event"] == CLICK and "link_id" in told:
            self.marks.add(told["link_id"])
            self.paths |= {f"{own}/Link", f"{own}/Link/{told['link_id']}/Clicker"}

    def suffers(self, fault: Fault) -> bool:
        """Tells whether a fault can keep it from being known."""
        if fault.times is not None and is_retried(fault):
            return False
        if isinstance(fault, Empty) and fault.path in ("/v1/List$", "/SegmentationField$"):
            # What isn't there twice isn't there: its lists are degraded.
            return True
        if self.is_unsubscribe:
            # It waits for whoever may have caused it.
            return f"/List/{self.list_id}/" in fault.path or not fault.path.startswith("/List/")
        if not isinstance(fault, BadValues):
            return any(fault.fits(path) for path in self.paths)
        return any(
            of and path.removeprefix("/email") in self.paths and self.marks & {*who.split("/")}
            for (path, who), (_, of) in fault.spoiled.items()
        )
