"""Naive times of New York as UTC, the cheap way: an hour is looked up once."""

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")


def instant(text: str) -> str:
    """A naive time of New York as UTC, to the millisecond."""
    return f"{_utc_hour(text[:13])}{text[13:19]}.{text[20:23].ljust(3, '0')}Z"


@cache
def _utc_hour(hour: str) -> str:
    local = datetime.fromisoformat(f"{hour}:00").replace(tzinfo=NEW_YORK)
    return f"{local.astimezone(UTC):%Y-%m-%dT%H}"
