"""What all peers do alike: read the pages with requests, make an event of what each row shows."""

from collections.abc import Iterator
from typing import Any

import requests

from bench.peers.eastern import instant


class Account:
    """A list of the account, read through one session."""

    def __init__(self, address: str, list_id: str) -> None:
        self._api = f"{address}/email/v1"
        self._list_id = list_id
        self._session = requests.Session()

    def rows(self) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
        """Every activity row, with the properties of its message's events."""
        base = f"List/{self._list_id}"
        names = {str(row["listId"]): row["listName"] for row in self._get("List")["data"]}
        campaigns = self._get(f"{base}/Campaign")["data"]
        titles = {row["campaignId"]: row["campaignName"] for row in campaigns}
        for thin in self._get(f"{base}/Message?cursor=Start")["data"]:
            path = f"{base}/Message/{thin['messageId']}"
            message = self._get(path)["data"]
            properties = {
                "email_id": str(message["messageId"]),
                "email_subject": message["subject"],
                "campaign_name": titles[message["campaignId"]],
                "google_analytics_campaign_name": message["googleAnalyticsCampaignName"],
                "list_id": self._list_id,
                "list_name": names[self._list_id],
            }
            cursor = "Start"
            while cursor:
                page = self._get(f"{path}/Activity?cursor={cursor}&count=5000")
                cursor = page["nextPageCursor"]
                for row in page["data"]:
                    yield properties, row

    def _get(self, path: str) -> Any:
        answer = self._session.get(f"{self._api}/{path}", timeout=60)
        answer.raise_for_status()
        return answer.json()


def shown(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Events that a row shows: name and naive time."""
    yield "Email Sent", row["sendDate"]
    if row["open"]:
        yield "Email Opened", row["activityDate"]


def identity(event: str, properties: dict[str, str], row: dict[str, Any]) -> str:
    """What happened, the same text every time."""
    return f"{event} {properties['email_id']} {row['sendDate']} {row['emailAddress']}"


def track(event: str, when: str, properties: dict[str, str], row: dict[str, Any]) -> dict[str, Any]:
    """One event, without an id."""
    return {
        "type": "track",
        "anonymousId": row["emailAddress"],
        "event": event,
        "timestamp": instant(when),
        "properties": properties,
        "context": {
            "library": {"name": "listrak-segment-peer", "version": "0.1.0"},
            "traits": {"email": row["emailAddress"]},
        },
    }
