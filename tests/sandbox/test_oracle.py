"""The judge of histories agrees with a perfect bridge, which shares no rule with it."""

from datetime import timedelta

from oracle import Oracle
from rig import quiet_world

from bridge.sandbox.account import Message
from bridge.sandbox.history import Configuration
from bridge.sandbox.world import World

LIST = 5
PEOPLE = ["ann@example.com", "bob@example.com", "cy@example.com"]
LINKS = ["https://shop.example/one"]
ALL = Configuration(lists={LIST: None})
FEW = Configuration(lists={LIST: None}, events=frozenset({"Email Sent", "Unsubscribed"}))


def lived() -> Oracle:
    """A history: all is wanted, then few, then all again; backfills of both kinds."""
    world = quiet_world()
    world.add_list("News", list_id=LIST)
    for email in PEOPLE:
        world.subscribe(LIST, email)
    oracle = Oracle(world)
    _live(world, PEOPLE[2])
    for configuration in (ALL, FEW, ALL):
        oracle.look(configuration)
        world.advance(world.now + timedelta(hours=1))
        _live(world, PEOPLE[0])
    world.opt_out(_live(world, PEOPLE[1]), PEOPLE[1])
    oracle.look(FEW)
    world.advance(world.now + timedelta(hours=1))
    oracle.backfill(ALL, withheld=True)
    world.advance(world.now + timedelta(hours=1))
    oracle.backfill(ALL, since=world.now - timedelta(days=9))
    return oracle


def _live(world: World, email: str) -> Message:
    """An email to all, and what one of them does with it."""
    message = world.send_broadcast(LIST, PEOPLE, links=LINKS)
    world.advance(world.now + timedelta(minutes=10))
    world.open(message, email)
    world.click(message, email, message.links[0])
    world.order(message, email, 1250)
    world.advance(world.now + timedelta(minutes=10))
    return message


def test_a_perfect_bridge_passes() -> None:
    """All that was due, and nothing else."""
    oracle = lived()
    assert oracle.events
    verdict = oracle.verdict()
    assert verdict.ok, str(verdict)


def test_each_event_is_missed() -> None:
    """Without any one of them the verdict is another."""
    oracle = lived()
    for number in range(len(oracle.events)):
        left = oracle.events[:number] + oracle.events[number + 1 :]
        assert not oracle.verdict(left).ok, oracle.events[number]
