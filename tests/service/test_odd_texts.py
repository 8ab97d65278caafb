"""Names and addresses that nobody expects: byte for byte at Segment, and exactly once."""

from collections import Counter
from typing import Any

import pytest
from rig import quiet_world

pytestmark = pytest.mark.anyio

LIST = 12345
ADDRESSES = [
    "plus+tag@example.com",
    "UPPER.Case@Example.COM",
    '"quoted local part"@example.com',
    "o'brien@example.com",
    "percent%40sign@example.com",
    "slash/and\\backslash@example.com",
    "question?mark=1&two@example.com",
    "hash#tag@example.com",
    "trailing.dot@example.com.",
    "名前@例え.jp",
    "zoë@müller.example",
    "ελληνικά@παράδειγμα.ελ",
    "a" * 200 + "@example.com",
    "<b>@example.com",
    "'; DROP TABLE contacts;--@example.com",
    "ip@[127.0.0.1]",
    "zero\u200bwidth@example.com",
    "nul\0in@example.com",
    "{brace}~!$^*@example.com",
]
NAMES = [
    '[bold]News[/bold] 👩\u200d👩\u200d👧 \u202eRTL\'; DROP TABLE lists;-- "quoted" \\u0041 \\',
    "with NUL\0 inside \ud83d and half an emoji</script>{{7*7}}%s\t\x1b[31m\u2028\ufeff",
]


def carried(text: str) -> str:
    """The text as it can be sent."""
    return text.replace("\0", "").replace("\ud83d", "\ufffd")


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_odd_texts(rig_of: Any, name: str) -> None:
    """In every run the same; nothing is repeated, and who leaves is told once."""
    world = quiet_world()
    world.add_list(name, list_id=LIST)
    campaign = world.add_campaign(LIST, name)
    for email in ADDRESSES:
        world.subscribe(LIST, email)
    details = {"campaign_id": campaign, "google_analytics": name}
    async with rig_of(world=world, lists=str(LIST)) as rig:
        await rig.caught_up()
        rig.later(minutes=2)
        message = world.send_broadcast(LIST, ADDRESSES, subject=name, **details)
        world.click(message, ADDRESSES[1], message.links[0])
        for _ in range(2):
            rig.later(days=1, hours=2)
            await rig.caught_up()
        rig.later(minutes=5)
        for email in ADDRESSES:
            world.delete_contact(LIST, email)
        for _ in range(2):
            rig.later(days=1, hours=2)
            await rig.caught_up()
        events = list(rig.segment.received())
        whom = Counter(
            (
                event["anonymousId"],
                event.get("event", event.get("traits", {}).get(f"listrak_list_{LIST}")),
            )
            for event in events
        )
        kinds = (True, "Email Sent", None)
        expected = Counter((carried(email), kind) for email in ADDRESSES for kind in kinds)
        expected += Counter(
            (carried(ADDRESSES[1]), kind) for kind in ("Email Opened", "Email Link Clicked")
        )
        assert whom == expected
        for event in events:
            if event["type"] == "track":
                told = event["properties"]
                for each in ("list_name", "campaign_name", "email_subject"):
                    assert told[each] == carried(name)
                assert told["google_analytics_campaign_name"] == carried(name)
        assert rig.adds_up()
        assert not rig.complaints()
        for command in ("lists", "reconcile", "dead-letters"):
            arguments = (command, "list") if command == "dead-letters" else (command,)
            assert "\x1b" not in (await rig.run(*arguments)).out
