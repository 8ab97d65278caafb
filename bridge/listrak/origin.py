"""The origin of an open or a click, if a row of Listrak's tells it."""

from itertools import product
from typing import Any, NamedTuple

from bridge.listrak import wire


class Origin(NamedTuple):
    """The client of an open or a click, if a row tells: today's don't (FACTS.md: Activity)."""

    ip: str | None
    user_agent: str | None


_PREFIXES = ["", "client", "open", "opener", "click", "clicker", "contact", "remote", "source"]
_PREFIXES += ["user", "visitor", "browser", "public", "sender"]
_IP_NAMES = {"".join(parts) for parts in product(_PREFIXES, ("ip", "ipaddress", "ipaddr"))}
_AGENT_NAMES = {"".join(parts) for parts in product(_PREFIXES, ("useragent", "useragentstring"))}
# Parts of these names, one of which is in any body with such a field: most pages need no search.
_HINTS = (b'ip"', b"paddr", b"p_addr", b"p-addr", b"gent")


def origins_in(body: bytes) -> list[Origin] | None:
    """Each row's IP address and user agent; None where no row of the page carries any.

    Today's rows carry neither (FACTS.md: Activity), so any plausible spelling is accepted.
    """
    lower = body.lower()
    if not any(hint in lower for hint in _HINTS):
        return None
    rows = wire.decode(body, wire.Envelope[list[dict[str, Any]]]).data
    by_row = [Origin(_text_of(row, _IP_NAMES), _text_of(row, _AGENT_NAMES)) for row in rows]
    return by_row if any(origin != (None, None) for origin in by_row) else None


def _text_of(row: dict[str, Any], names: set[str]) -> str | None:
    for name, value in row.items():
        plain = name.lower().replace("_", "").replace("-", "")
        if plain in names and isinstance(value, str) and value.strip():
            return value
    return None
