"""How many contacts a list has, as `check` counts them."""

import pytest
from listrak_stand_in import StandIn, client_of, ok

from bridge.commands import contact_count
from bridge.commands.contact_count import count_subscribed

pytestmark = pytest.mark.anyio

PAGES = [ok([{"emailAddress": f"{page}-{row}@x.com"} for row in range(3)], page) for page in "ab"]
LAST = ok([{"emailAddress": "last@x.com"}])


async def test_all_pages_count() -> None:
    """Page by page, to the last."""
    stand_in = StandIn(*PAGES, LAST)
    async with client_of(stand_in) as listrak:
        assert str(await count_subscribed(listrak, 5)) == "7"
    assert {call.query["subscriptionState"] for call in stand_in.calls} == {"Subscribed"}


async def test_nobody_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """An incomplete number says that it is one."""
    monkeypatch.setattr(contact_count, "SECONDS", -1)
    stand_in = StandIn(*PAGES, LAST)
    async with client_of(stand_in) as listrak:
        assert str(await count_subscribed(listrak, 5)) == "more than 3"
    assert len(stand_in.calls) == 1
