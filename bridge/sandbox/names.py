"""The properties of events, as they were at an instant of the world."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from .account import Link, Message, Row
from .world import World

BOUNCE_REASON, LINK_DESCRIPTION, CAMPAIGN_ID = "bounce_reason", "link_description", "campaign_id"


def properties_at(
    world: World, message: Message, at: datetime, extra: Collection[str] = ()
) -> dict[str, object]:
    """The properties of every event of a message, without empty ones."""
    campaign_id = message.campaign_id
    if not campaign_id and message.conversation is not None:
        campaign_id = message.conversation.campaign_id
    list_id = message.list_id
    told = {
        "email_id": str(message.message_id),
        "email_subject": world.subject(message, at),
        "campaign_name": world.campaign_name(list_id, campaign_id, at),
        "google_analytics_campaign_name": world.google_analytics(message, at),
        CAMPAIGN_ID: str(campaign_id) if campaign_id and CAMPAIGN_ID in extra else None,
    }
    return _filled(told) | list_properties_at(world, list_id, at)


def list_properties_at(world: World, list_id: int, at: datetime) -> dict[str, object]:
    """The properties of every event of a list."""
    return _filled({"list_id": str(list_id), "list_name": world.list_name(list_id, at)})


def bounce_properties(row: Row, extra: Collection[str]) -> dict[str, object]:
    """The further properties of a bounce."""
    return _filled({BOUNCE_REASON: row.bounce_reason if BOUNCE_REASON in extra else None})


def link_properties(link: Link | None, extra: Collection[str]) -> dict[str, object]:
    """The further properties of a click; none where no link is known."""
    if link is None:
        return {}
    description = link.description if LINK_DESCRIPTION in extra else None
    told = {"link_id": str(link.link_id), "link_url": link.url, LINK_DESCRIPTION: description}
    return _filled(told)


def _filled(told: Mapping[str, str | None]) -> dict[str, object]:
    return {name: value for name, value in told.items() if value}
