"""What the state file keeps of rows that can't be read, and of addresses with NUL."""

from pathlib import Path

import pytest

from bridge.state.records import Contact, DeadLetter
from bridge.state.store import open_store

pytestmark = pytest.mark.anyio


async def test_a_dead_letter_once(tmp_path: Path) -> None:
    """However often its row is seen, also twice at once."""
    letters = [
        DeadLetter("activity", f"listrak-{number % 3}", "it is null", b"null")
        for number in range(5)
    ]
    async with open_store(tmp_path / "bridge.db") as store:
        for new in (3, 0):
            async with store.transaction():
                assert len(await store.dead_letters.add_new(letters, 1.0)) == new
            assert await store.dead_letters.count() == 3


async def test_an_address_with_nul(tmp_path: Path) -> None:
    """One that an older version told is found by it."""
    contact = Contact("A\0b@x.y", True, None, 1, "")
    async with open_store(tmp_path / "bridge.db") as store:
        async with store.transaction():
            await store.contacts.set(5, [contact, Contact("a@x.y", True, None, 1, "")])
        known = await store.contacts.known(5, ["a\0b@x.y", "A@x.y", "a"])
        assert known.keys() == {"a\0b@x.y", "a@x.y"}
        assert known["a\0b@x.y"] == contact


async def test_twins(tmp_path: Path) -> None:
    """They are kept list by list."""
    async with open_store(tmp_path / "bridge.db") as store:
        async with store.transaction():
            await store.contacts.add_twins(5, ["a@x.y", "b@x.y", "a@x.y"])
            await store.contacts.add_twins(6, ["a@x.y"])
            await store.contacts.remove_twins(5, ["b@x.y", "c@x.y"])
        assert (await store.contacts.twins(5), await store.contacts.twins(6)) == (
            {"a@x.y"},
            {"a@x.y"},
        )
