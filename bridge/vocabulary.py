"""The events' names, as Segment's catalogue page of the Listrak source has them."""

from typing import Final

SENT: Final = "Email Sent"
OPENED: Final = "Email Opened"
CLICKED: Final = "Email Link Clicked"
BOUNCED: Final = "Email Bounced"
SPAM: Final = "Email Marked As Spam"
CONVERTED: Final = "Email Converted"
UNSUBSCRIBED: Final = "Unsubscribed"
IDENTIFY: Final = "identify"

TRACKS: Final = (SENT, OPENED, CLICKED, BOUNCED, SPAM, CONVERTED, UNSUBSCRIBED)
