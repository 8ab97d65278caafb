"""The JSON of the emulated Listrak API."""

from __future__ import annotations

import hashlib
from typing import Any

from .account import (
    Click,
    Contact,
    Conversation,
    Link,
    MailingList,
    Message,
    Row,
    SplitTest,
    Totals,
)
from .clock import WallClock
from .switches import Switches

Json = dict[str, Any]

NEVER = "0001-01-01T00:00:00"
BODY = "<p>A paragraph of the newsletter, as long as such paragraphs are.</p>\n" * 600


class Shapes:
    """The JSON of things as they are now, with the field names of the Swagger document's models."""

    def __init__(self, wall: WallClock, switches: Switches) -> None:
        self._wall = wall
        self._switches = switches

    def mailing_list(self, owner: MailingList) -> Json:
        """A list."""
        return {
            "listId": owner.list_id,
            "listName": owner.name,
            "folderId": 0,
            "ipPoolId": None,
            "bounceDomainAlias": "bounce.shop.example",
            "bounceHandling": "Standard",
            "bounceUnsubscribeCount": 3,
            "createDate": self._wall.write(owner.created),
            "enableBrowserLink": True,
            "enableDoubleOptIn": False,
            "enableDynamicContent": False,
            "enableGoogleAnalytics": True,
            "enableInternationalization": True,
            "enableListHygiene": False,
            "enableListRemovalHeader": True,
            "enableListRemovalLink": True,
            "enableListrakAnalytics": True,
            "enableSpamScorePersonalization": False,
            "enableToNamePersonalization": False,
            "enableUniversalEmailKeySetting": False,
            "fromEmail": "news@shop.example",
            "fromName": "Shop",
            "googleTrackingDomains": ["shop.example"],
            "linkDomainAlias": "links.shop.example",
            "mediaDomainAlias": None,
        }

    def groups(self, owner: MailingList) -> list[Json]:
        """The groups of a list's profile fields."""
        return [
            {
                "segmentationFieldGroupId": group_id,
                "segmentationFieldGroupName": name,
                "position": position,
            }
            for position, (group_id, name) in enumerate(owner.groups.items())
        ]

    def fields(self, owner: MailingList, group_id: int) -> list[Json]:
        """The profile fields of a group."""
        fields = [field for field in owner.fields.values() if field.group == group_id]
        return [
            {
                "segmentationFieldId": field.field_id,
                "segmentationFieldName": field.name,
                "segmentationFieldGroupId": group_id,
                "dataType": field.data_type,
                "maxLength": 255,
                "position": position,
            }
            for position, field in enumerate(fields)
        ]

    def contact(self, owner: MailingList, contact: Contact, fields: list[int]) -> Json:
        # A missing date is null in one contact and the year one in the next.
        """A contact with the values of some profile fields."""
        none = NEVER if contact.position % 2 else None
        universal = hashlib.sha256(contact.email.lower().encode()).hexdigest()
        return {
            "emailAddress": contact.email,
            "emailKey": contact.email_key,
            "universalEmailKey": universal,
            "subscriptionState": "Subscribed" if contact.subscribed else "Unsubscribed",
            "subscribeDate": self._wall.write(contact.subscribe_date),
            "resubscribeDate": self._wall.write(contact.resubscribe_date, none),
            "subscribeMethod": contact.subscribe_method,
            "unsubscribeDate": self._wall.write(contact.unsubscribe_date, none),
            "unsubscribeMethod": contact.unsubscribe_method,
            "externalContactID": contact.external_id,
            "segmentationFieldValues": [
                {
                    "segmentationFieldGroupId": owner.fields[field_id].group,
                    "segmentationFieldId": field_id,
                    "value": contact.values[field_id],
                }
                for field_id in fields
                if field_id in contact.values and field_id in owner.fields
            ],
        }

    def message(self, message: Message, none: str | None = None) -> Json:
        """A message, thin; `none` for a missing date."""
        return {
            "messageId": message.message_id,
            "sendDate": self._wall.write(message.sent_at if message.dated else None, none),
            "messageStatus": _state(message),
            "campaignId": _campaign(message.message_id, message.campaign_id),
            "externalCampaignId": "",
            "subject": message.subject,
        }

    def detail(self, message: Message) -> Json:
        """A message with its bodies."""
        shown = self.message(message, none=NEVER) | {
            "enableUniversalEmailKeySetting": False,
            "bodyHtml": BODY,
            "bodyText": "A paragraph of the newsletter.",
            "codePage": 65001,
            "enablePassalong": False,
            "enableTracking": True,
            "fromEmail": "news@shop.example",
            "fromName": "Shop",
            "googleAnalyticsCampaignName": message.google_analytics,
            "googleAnalyticsCampaignContent": None,
            "replyEmail": "reply@shop.example",
            "savedAudienceId": None,
            "toName": "",
        }
        if message.kind == "message":
            shown["segmentsApplied"] = {"includedSegments": [], "excludedSegments": []}
        return shown

    def conversation(self, talk: Conversation) -> Json:
        """A conversation."""
        return {
            "conversationId": talk.conversation_id,
            "conversationName": talk.name,
            "campaignId": _campaign(talk.conversation_id, talk.campaign_id),
            "expirationDate": NEVER,
            "status": "Active",
        }

    def transactional(self, message: Message) -> Json:
        """A transactional message."""
        return {
            "transactionalMessageId": message.message_id,
            "transactionalMessageName": message.name,
            "campaignId": _campaign(message.message_id, message.campaign_id),
            "externalCampaignId": "",
            "subject": message.subject,
        }

    def split_test(self, test: SplitTest) -> Json:
        """A split test."""
        return {
            "splitTestId": test.split_test_id,
            "splitTestName": test.name,
            "startDate": self._wall.write(test.start),
            "endDate": NEVER,
            "status": "Complete",
            "testCriteria": "SubjectLine",
            "testType": "Remainder",
            "winnerMetric": "Opens",
        }

    def split_messages(self, test: SplitTest) -> list[Json]:
        """The messages of a split test."""
        return [
            {
                "messageId": message.message_id,
                "messageStatus": _state(message),
                "messageType": "Remainder" if group is None else "Group",
                "groupName": group or "Remainder",
                "segmentSize": None if group is None else 20,
            }
            for group, message in test.messages
        ]

    def activity(self, message: Message, row: Row) -> Json:
        """An activity row."""
        write = self._wall.write
        shown: Json = {
            "abuse": row.abuse,
            "activityDate": write(row.first_activity),
            "bounce": row.bounced,
            "bounceReason": row.bounce_reason,
            "click": row.clicks > 0,
            "clickCount": row.clicks,
            "emailAddress": row.email,
            "open": row.opened,
            "orderTotal": None if row.order_cents is None else row.order_cents / 100,
            "read": row.read,
            "sendDate": write(row.sent_at) if message.rows_dated else None,
            "unsubscribe": row.unsubscribed,
            "visitDate": None,
            "externalContactID": row.external_id,
        }
        if message.kind == "transactional":
            shown["resendKey"] = f"{message.message_id:x}-{row.position:x}"
        return self._extend(shown, row)

    def link(self, link: Link, clicks: int) -> Json:
        """A link with the number of its clicks."""
        return {
            "linkId": link.link_id,
            "linkDescription": link.description,
            "linkUrl": link.url,
            "clickCount": clicks,
        }

    def click(self, click: Click) -> Json:
        """A click."""
        shown: Json = {"emailAddress": click.email, "clickDate": self._wall.write(click.at)}
        return self._extend(shown, click)

    def summary(self, sent: int, totals: Totals) -> Json:
        """A Summary; openCount is of sends, clickCount of all clicks, conversionCount of orders."""
        off = self._off
        return {
            "averageOrderValue": round(totals.cents / 100 / max(totals.orders, 1), 2),
            "bounceCount": off(totals.bounced),
            "clickCount": off(totals.clicks),
            "conversionCount": off(totals.orders),
            "openCount": off(totals.opened),
            "passAlongCount": 0,
            "readCount": off(totals.read),
            "revenue": off(totals.cents) / 100,
            "sentCount": off(sent),
            "unsubscribeCount": off(totals.unsubscribed),
            "visitCount": off(totals.clicks),
        }

    def _off(self, number: int) -> int:
        """A counter as the switch has it: a thirtieth off, one at least, and never falling."""
        by = -(-number // 30)
        return number + {"exact": 0, "more": by, "less": -by}[self._switches.summary]

    def status(self, message: Message) -> Json:
        """The status of a message."""
        last = max((row.sent_at for row in message.rows), default=message.sent_at)
        return {
            "sendCount": len(message.rows),
            "startDate": self._wall.write(message.sent_at),
            "endDate": self._wall.write(last),
            "status": _state(message),
            "type": "Scheduled" if message.sent_at is None else "Immediate",
        }

    def _extend(self, shown: Json, source: Row | Click) -> Json:
        """Adds fields that the documentation doesn't have, if switched on."""
        if self._switches.extra_fields:
            shown["ipAddress"] = source.ip
            shown["userAgent"] = source.user_agent
            shown["device"] = {"type": "mobile", "screens": [1, 2.5, None]}
        return shown


def _campaign(number: int, campaign_id: int) -> int | None:
    """The campaign's id; for none 0 or null, by the number."""
    return campaign_id or (0 if number % 2 else None)


def _state(message: Message) -> str:
    return "Scheduled" if message.sent_at is None else "Sent"
