"""Events as they are kept in the outbox."""

from collections.abc import Iterable, Sequence

from bridge.compression import compressed
from bridge.segment import events
from bridge.state.store import Store


def packed(encoded: Sequence[bytes]) -> bytes:
    """The body of a page of encoded events."""
    return compressed(b"[" + b",".join(encoded) + b"]")


def names_of(encoded: Iterable[bytes]) -> list[str]:
    """The names of encoded events."""
    return [events.envelope(event).name for event in encoded]


async def save_aside(list_id: int, aside: Sequence[bytes], store: Store) -> None:
    """Keeps events that Segment fails on by themselves, to be tried again apart from others."""
    if aside:
        await store.outbox.put(list_id, len(aside), packed(aside), set_aside=True)
