"""One part of a list that keeps failing holds up nothing beside it, and loses nothing."""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import anyio
import in_process
import pytest
from rig import Rig, quiet_world

from bridge.commands.backfill import backfill, wish_of
from bridge.commands.check import check_all
from bridge.commands.explain import explain
from bridge.commands.identify import identify_all
from bridge.commands.reconcile import reconcile
from bridge.environment.settings import load
from bridge.errors import TemporaryError
from bridge.flow.scheduling import schedule
from bridge.listrak import answers
from bridge.sandbox.account import Message
from bridge.service import Service

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("impatient")]

LIST = 12345
PEOPLE = [f"person{number}@example.com" for number in range(3)]
GONE = "gone@example.com"

KINDS = {"Email Sent", "Email Opened"}
CLICK = "Email Link Clicked"


@dataclass
class Account:
    """An account with an email of each kind, sent, opened and clicked after the first catch-up."""

    rig: Rig
    emails: dict[str, Message]

    @property
    def arrived(self) -> dict[str, Counter[str]]:
        """Numbers of events by the name of their email, those of contacts by ""."""
        names = {message.subject: name for name, message in self.emails.items()}
        found: dict[str, Counter[str]] = {name: Counter() for name in ("", *self.emails)}
        for event in self.rig.segment.received():
            subject = event.get("properties", {}).get("email_subject")
            found[names.get(subject, "")][event.get("event") or event["type"]] += 1
        return found

    @property
    def due(self) -> dict[str, Counter[str]]:
        """What arrives where nothing fails."""
        of_each = Counter({"Email Sent": len(PEOPLE), "Email Opened": 1, CLICK: 1})
        identifies = Counter(identify=len(PEOPLE) + 2)
        return {"": identifies} | dict.fromkeys(self.emails, of_each)

    def fail(self, resource: str, fault: str) -> None:
        """Puts a fault in force on all that a pattern fits: names of emails stand for their ids."""
        pattern = re.sub(r"<(\w+)>", lambda found: str(self.emails[found[1]].message_id), resource)
        self.rig.fail(pattern, fault)

    async def caught_up(self) -> str:
        """Makes a catch-up; the error that it ends with, "" for none."""
        try:
            await in_process.caught_up(self.rig, {})
        except BaseException as error:
            leaf = error
            while isinstance(leaf, BaseExceptionGroup):
                leaf = leaf.exceptions[0]
            if not isinstance(leaf, TemporaryError):
                raise
            return str(leaf)
        return ""

    def set_aside(self) -> list[str]:
        """What the state file has as set aside, by its names."""
        with closing(sqlite3.connect(self.rig.state)) as db:
            rows = db.execute("SELECT kind, subject FROM set_aside WHERE reason != ''").fetchall()
        return sorted(f"{kind} {subject}".strip() for kind, subject in rows)


@asynccontextmanager
async def account_of(
    rig_of: Any, *, is_new: bool = True, **settings: str
) -> AsyncIterator[Account]:
    """The account; caught up once before anything was sent, unless that `is_new` no longer."""
    world = quiet_world()
    world.add_list("News", list_id=LIST)
    world.add_field(LIST, "Customer ID")
    campaign = world.add_campaign(LIST, "Spring")
    for email in (*PEOPLE, GONE):
        world.subscribe(LIST, email)
    async with rig_of(world=world, lists=f"{LIST}=777", **settings) as rig:
        if is_new:
            await in_process.caught_up(rig, {})
        rig.later(hours=1)
        emails = {
            "listed": world.add_message(LIST, subject="listed", campaign_id=campaign),
            "plain": world.add_message(LIST, subject="plain"),
            "split": world.add_message(LIST, subject="split", listed=False),
            "talk": world.add_message(LIST, "conversation", subject="talk"),
            "other": world.add_message(LIST, "conversation", subject="other"),
            "mail": world.add_message(LIST, "transactional", subject="mail"),
        }
        world.add_split_test(LIST, "A or B").messages.append(("A", emails["split"]))
        for message in emails.values():
            world.send(message, PEOPLE)
        rig.later(minutes=5)
        for message in emails.values():
            world.open(message, PEOPLE[0])
            world.click(message, PEOPLE[0], *message.links[:1])
        world.delete_contact(LIST, GONE)
        rig.later(minutes=5)
        yield Account(rig, emails)


ALL = (*KINDS, CLICK)
RESOURCES: dict[str, tuple[str, dict[str, Any]]] = {
    "broadcasts": (rf"List/{LIST}/Message$", {"listed": ALL, "plain": ALL}),
    "split tests": (r"/SplitTest$", {"split": ALL}),
    "split test": (r"/SplitTest/\d+/Message$", {"split": ALL}),
    "split test message": (rf"List/{LIST}/Message/<split>$", {"split": ALL}),
    "conversations": (r"/Conversation$", {"talk": ALL, "other": ALL}),
    "conversation": (r"/Conversation/901/Message$", {"talk": ALL}),
    "transactional messages": (r"/TransactionalMessage$", {"mail": ALL}),
    "campaigns": (r"/Campaign$", {"listed": ALL}),
    "details": (r"/Message/<plain>$", {"plain": ALL}),
    "message": (r"/Message/<plain>/Activity$", {"plain": ALL}),
    "summary": (r"/Message/<plain>/Summary$", {}),
    "links": (r"/Message/<plain>/Link$", {"plain": (CLICK,)}),
    "link": (r"/Message/<plain>/Link/\d+/Clicker$", {"plain": (CLICK,)}),
    "contact look-ups": (r"/Contact/gone", {"": ("identify",)}),
}
FAULTS = [
    *(f"status:{code}" for code in (400, 403, 404, 500)),
    'status:200,body={"data":null}',
    *("torn", "garbage", "deep", "huge:9000000"),
]


def left(due: dict[str, Counter[str]], suffer: dict[str, Any]) -> dict[str, Counter[str]]:
    """What is due without what a failing resource shows."""
    return {
        name: Counter(
            {
                event: number - (1 if event == "identify" else number)
                if event in suffer.get(name, ())
                else number
                for event, number in events.items()
            }
        )
        for name, events in due.items()
    }


@pytest.mark.parametrize("resource", RESOURCES)
async def test_a_resource_that_fails(rig_of: Any, resource: str) -> None:
    """What the others show arrives; the part is named; when it answers again, all arrives."""
    pattern, suffer = RESOURCES[resource]
    async with account_of(rig_of) as account:
        account.fail(pattern, "status:500")
        said = await account.caught_up()
        named = account.set_aside()
        assert [name for name in named if name.startswith(resource)], named
        if resource == "summary":
            assert not said
        else:
            assert f"of list {LIST}" in said
        assert account.arrived == {
            name: +events for name, events in left(account.due, suffer).items()
        }
        account.rig.listrak.faults.clear()
        assert await account.caught_up() == ""
        assert account.arrived == account.due
        assert account.set_aside() == []
        assert account.rig.adds_up()


def some_pairs() -> list[tuple[str, str]]:
    """Each fault with some resources, each resource with some faults."""
    names = [name for name in RESOURCES if name != "summary"]
    pairs = [(names[(7 * number) % len(names)], fault) for number, fault in enumerate(FAULTS * 3)]
    # A contact that isn't there was deleted, which is told.
    return [pair for pair in pairs if pair != ("contact look-ups", "status:404")]


PAGED = ("broadcasts", "split tests", "conversation", "message", "links", "link")


@pytest.mark.parametrize(
    ("resource", "fault"), [*some_pairs(), *((name, "circle:2") for name in PAGED[1::2])]
)
async def test_every_way_to_fail(rig_of: Any, resource: str, fault: str) -> None:
    """What the others show arrives; nothing is lost."""
    pattern, suffer = RESOURCES[resource]
    async with account_of(rig_of) as account:
        account.fail(pattern, fault)
        said = await account.caught_up()
        if "404" not in fault:
            assert f"of list {LIST}" in said
        due = left(account.due, suffer)
        assert account.arrived == {name: +events for name, events in due.items()}
        account.rig.listrak.faults.clear()
        assert await account.caught_up() == ""
        assert account.arrived == account.due
        assert account.set_aside() == []


async def test_some_fail_once(rig_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry is all it takes: nothing is set aside."""
    monkeypatch.setattr(answers, "PATIENCE", 2.0)
    async with account_of(rig_of) as account:
        for name in ("split tests", "message", "link", "contact look-ups"):
            account.fail(RESOURCES[name][0], "status:500,times=1")
        assert await account.caught_up() == ""
        assert account.arrived == account.due


async def test_a_listing_that_failed_for_long(rig_of: Any) -> None:
    """It goes on from its own latest reading, while others went on: nothing is too old by then."""
    async with account_of(rig_of, BRIDGE_TRACK_DAYS="7") as account:
        for name in ("split tests", "conversation"):
            account.fail(RESOURCES[name][0], "status:503")
        for _ in range(3):
            assert "split tests" in await account.caught_up()
            account.rig.later(days=15)
        account.rig.listrak.faults.clear()
        assert await account.caught_up() == ""
        assert account.arrived == account.due


async def test_who_unsubscribes(rig_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for an email that can't be read, for an hour at most; for nothing else."""
    async with account_of(rig_of) as account:

        def unsubscribed() -> list[str | None]:
            events = account.rig.segment.received()
            found = [one for one in events if one.get("event") == "Unsubscribed"]
            return [one["properties"].get("email_subject") for one in found]

        for name in ("message", "contact look-ups"):
            account.fail(RESOURCES[name][0], "status:500")
        account.rig.world.opt_out(account.emails["plain"], PEOPLE[1])
        await account.caught_up()
        assert unsubscribed() == []
        with monkeypatch.context() as an_hour_later:
            an_hour_later.setattr(schedule, "LONGEST_ATTRIBUTION_WAIT", 0)
            await account.caught_up()
        assert unsubscribed() == [None]
        account.rig.listrak.faults.clear()
        account.fail(RESOURCES["contact look-ups"][0], "status:400")
        account.rig.world.opt_out(account.emails["plain"], PEOPLE[2])
        await account.caught_up()
        assert unsubscribed() == [None, "plain"]


async def test_an_email_that_is_over_stays_until_it_was_read(rig_of: Any) -> None:
    """Forgetting follows looking, also where it never answered while it was tracked."""
    async with account_of(rig_of) as account:
        for name in ("message", "links"):
            account.fail(RESOURCES[name][0], "status:500")
        await account.caught_up()
        account.rig.later(days=40)
        await account.caught_up()
        account.rig.listrak.faults.clear()
        account.fail(RESOURCES["links"][0], "status:500")
        await account.caught_up()
        account.rig.listrak.faults.clear()
        assert await account.caught_up() == ""
        assert account.arrived == account.due
        with closing(sqlite3.connect(account.rig.state)) as db:
            tracked = db.execute("SELECT count(*) FROM messages WHERE NOT retired").fetchone()
        assert tracked == (3,), "what goes on sending"


async def test_names_are_waited_for(rig_of: Any) -> None:
    """Events go on without names that can't be read after an hour, and are not sent again later."""
    async with account_of(rig_of) as account:
        for name in ("campaigns", "details"):
            account.fail(RESOURCES[name][0], "status:500")
        said = await account.caught_up()
        assert "wait" in said
        assert not account.arrived["listed"]
        assert not account.arrived["plain"]
        account.rig.later(minutes=61)
        await account.caught_up()
        assert account.arrived == account.due
        account.rig.listrak.faults.clear()
        assert await account.caught_up() == ""
        assert account.arrived == account.due


async def test_the_service_goes_on(rig_of: Any) -> None:
    """What fails is named by its health and counted; the rest arrives, and all once it answers."""
    async with account_of(rig_of, BRIDGE_POLL_INTERVAL="0.1") as account:
        rig = account.rig
        failing = ("conversation", "split test", "message", "summary", "transactional messages")
        for name in failing:
            account.fail(RESOURCES[name][0], "status:500")
        service = Service(load(rig.environment), once=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run)
            await rig.until(lambda: account.arrived["other"] == account.due["other"])
            # At its usual pace: what happens now is seen, too.
            rig.world.open(account.emails["listed"], PEOPLE[1])
            await rig.until(lambda: account.arrived["listed"]["Email Opened"] == 2)
            report = service._health.report()
            named = " ".join(one["part"] for one in report["set_aside"])
            for part in ("conversation 901", "split test 61", "transactional messages"):
                assert part in named
            assert "set aside" in report["status"]
            assert not report["ready"]
            assert list(report["problems"]) == ["reading"]
            assert report["problems"]["reading"].endswith(f"transactional messages of list {LIST}")
            # Single emails, links and counters keep it from nothing.
            rig.listrak.faults.clear()
            for name in failing[:-1]:
                account.fail(RESOURCES[name][0], "status:500")
            await rig.until(lambda: service._health.report()["ready"])
            assert service._health.report()["set_aside"]
            rig.listrak.faults.clear()
            await rig.until(lambda: not service._health.report()["set_aside"])
            await rig.until(lambda: account.arrived["talk"] == account.due["talk"])
            await rig.until(lambda: account.arrived["plain"] == account.due["plain"])
            service._stop.set()


async def test_commands_go_on(rig_of: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """One resource that fails ends none of them before the rest is done; each says what is left."""
    async with account_of(rig_of) as account:
        for name in ("conversation", "summary", "message", "contact look-ups"):
            account.fail(RESOURCES[name][0], "status:500")
        await account.caught_up()
        settings = load(account.rig.environment)
        capsys.readouterr()
        with pytest.raises(TemporaryError, match="compared"):
            await reconcile(settings, only_list=None, everything=True, repair=False)
        said = " ".join(capsys.readouterr().out.split())
        assert "1 email is not compared: their counters can't be read now" in said
        assert "conversation 901" in said
        assert "listed" in said
        with pytest.raises(TemporaryError, match="read"):
            await explain(settings, PEOPLE[0], only_list=None, as_json=True)
        told = json.loads(capsys.readouterr().out)
        assert {row["subject"] for row in told["rows"]} == {"listed", "split", "other", "mail"}
        assert any("left out" in note for note in told["notes"])
        with pytest.raises(TemporaryError, match="read"):
            await explain(settings, GONE, only_list=None, as_json=True)
        assert "The contact of list" in json.loads(capsys.readouterr().out)["notes"][0]
        plain = str(account.emails["plain"].message_id)
        await explain(settings, plain, only_list=None, as_json=True)
        assert json.loads(capsys.readouterr().out)["emails"]
        await check_all(settings)
        assert "conversation 901" in " ".join(capsys.readouterr().out.split())
        before = account.arrived[""]["identify"]
        with pytest.raises(TemporaryError, match="not all contacts"):
            await identify_all(settings, only_list=None)
        assert "left out" in " ".join(capsys.readouterr().err.split())
        assert account.arrived[""]["identify"] == before + len(PEOPLE)


async def test_a_backfill_goes_on(rig_of: Any) -> None:
    """A message that can't be read is left for later, named; the others are done first."""
    async with account_of(rig_of, is_new=False) as account:
        # All is from before the first start.
        assert await account.caught_up() == ""
        assert not account.arrived["listed"]
        account.fail(RESOURCES["message"][0], "status:500")
        settings = load(account.rig.environment)
        wish = wish_of(settings, "1d", events=False, warehouse_only=False)
        with pytest.raises(BaseExceptionGroup) as raised:
            await backfill(settings, wish, only_list=None)
        assert raised.group_contains(TemporaryError, match="backfill message")
        assert not account.arrived["plain"]
        names = ("listed", "split", "talk", "other", "mail")
        assert [account.arrived[name] for name in names] == [account.due[name] for name in names]
        account.rig.listrak.faults.clear()
        await backfill(settings, wish, only_list=None)
        assert account.arrived["plain"] == account.due["plain"]
        assert account.set_aside() == []


@pytest.mark.parametrize("fault", ["status:400", "status:403", "status:500", "garbage"])
async def test_profile_fields_that_cant_be_read(rig_of: Any, fault: str) -> None:
    """One that is configured by its id, and was read before, is read as before."""
    async with account_of(rig_of) as account:
        account.fail(r"/SegmentationFieldGroup", fault)
        assert await account.caught_up() == ""
        assert account.arrived == account.due
        assert account.set_aside() == ["profile fields"]
        account.rig.listrak.faults.clear()
        assert await account.caught_up() == ""
        assert account.set_aside() == []


async def test_another_name_of_a_profile_field(rig_of: Any) -> None:
    """It is another field, perhaps: without an answer the list isn't read by the one before."""
    async with account_of(rig_of) as account:
        account.rig.environment["LISTRAK_LISTS"] = f"{LIST}=Customer ID"
        await account.caught_up()
        account.fail(r"/SegmentationFieldGroup", "status:500")
        account.rig.environment["LISTRAK_LISTS"] = f"{LIST}=Number"
        assert "profile fields" in await account.caught_up()
