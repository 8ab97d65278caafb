"""The scans there are, and in which order each kind of event is looked for: narrow ones first.

What is known of the filters is in listrak/FACTS.md: that they exist, hardly what they do. So a scan
is never trusted by itself: whether it sufficed is told by the counters, and if it didn't, the next
step of the ladder is taken, the whole message last.
"""

from typing import Final, Literal, NamedTuple

from bridge.state.records import Kind
from bridge.vocabulary import BOUNCED, CLICKED, CONVERTED, OPENED, SENT, SPAM, UNSUBSCRIBED

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

Dated = Literal["Send", "Activity"]


class Step(NamedTuple):
    """A kind of scan, and how long it may wait.

    `only`: activityType; `by`: which date of a row the scan's beginning is held against. It begins
    where the latest proof ended if `recent`, else `within` so many seconds before now, or with the
    oldest send that is `tracked` (of messages that go on sending), or with the first of all.
    `patience`: seconds after which it is done whatever it costs; where nothing counts the events,
    how often it is done.
    """

    name: str
    patience: float
    only: str | None = None
    by: Dated | None = None
    recent: bool = False
    within: float | None = None
    tracked: bool = False
    clicks: bool = False


WHOLE: Final = "whole"
TRACKED: Final = "tracked"
ALL_CLICKS: Final = "all clicks"

# Names of activityType are not documented: these are the row's own fields, and the Summary's.
OPEN, BOUNCE, ABUSE, UNSUBSCRIBE, CONVERSION, CLICK = (
    "open",
    "bounce",
    "abuse",
    "unsubscribe",
    "conversion",
    "click",
)


def _recent(by: Dated) -> Step:
    return Step(f"recent {by}", 5 * MINUTE, by=by, recent=True)


def _only(what: str, patience: float) -> Step:
    return Step(f"only {what}", patience, only=what, tracked=True)


def _only_lately(what: str, patience: float) -> Step:
    return Step(f"only {what} lately", patience, only=what, by="Send", within=DAY)


def _whole(patience: float) -> Step:
    return Step(WHOLE, patience)


def _tracked(patience: float) -> Step:
    return Step(TRACKED, patience, by="Send", tracked=True)


_CLICKS = (
    Step("recent clicks", 5 * MINUTE, recent=True, clicks=True),
    Step(ALL_CLICKS, 12 * HOUR, clicks=True),
)
# Complaints and orders are due within hours; an unsubscribe waits an hour for its message.
_UNSUBSCRIBED = _only(UNSUBSCRIBE, 30 * MINUTE)
_CONVERTED = _only(CONVERSION, 3 * HOUR)
_SPAM = _only(ABUSE, 4 * HOUR)

# A little more often than once a day, so that a day is enough for each order.
_DAILY = 20 * HOUR

LADDERS: Final[dict[Kind, dict[str, tuple[Step, ...]]]] = {
    "broadcast": {
        SENT: (_recent("Send"), _whole(_DAILY)),
        # What bounced and was opened all the same was active before it was opened.
        OPENED: (
            _recent("Activity"),
            _only(BOUNCE, 12 * HOUR),
            _only(OPEN, 10 * DAY),
            _whole(20 * DAY),
        ),
        BOUNCED: (_recent("Activity"), _only(BOUNCE, 3 * HOUR), _whole(5 * DAY)),
        CLICKED: _CLICKS,
        UNSUBSCRIBED: (_UNSUBSCRIBED, _whole(_DAILY)),
        CONVERTED: (_CONVERTED, _whole(_DAILY)),
        SPAM: (_SPAM, _whole(_DAILY)),
    },
    # There is no dateType here: dates are those of the send.
    "conversation": {
        SENT: (_recent("Send"), _tracked(_DAILY), _whole(7 * DAY)),
        OPENED: (
            _only_lately(OPEN, HOUR),
            _only(OPEN, 12 * HOUR),
            _tracked(5 * DAY),
            _whole(10 * DAY),
        ),
        BOUNCED: (
            _only_lately(BOUNCE, HOUR),
            _only(BOUNCE, DAY),
            _tracked(5 * DAY),
            _whole(10 * DAY),
        ),
        CLICKED: _CLICKS,
        UNSUBSCRIBED: (_UNSUBSCRIBED, _tracked(_DAILY), _whole(7 * DAY)),
        CONVERTED: (_CONVERTED, _tracked(_DAILY), _whole(7 * DAY)),
        SPAM: (_SPAM, _tracked(_DAILY)),
    },
    # Nothing counts these, so that all is done by the clock.
    "transactional": {
        SENT: (_recent("Send"), _tracked(_DAILY), _whole(7 * DAY)),
        OPENED: (_recent("Activity"), _only(OPEN, DAY)),
        BOUNCED: (_recent("Activity"), _only(BOUNCE, DAY)),
        CLICKED: (_only(CLICK, HOUR),),
        UNSUBSCRIBED: (_UNSUBSCRIBED,),
        CONVERTED: (_CONVERTED,),
        SPAM: (_SPAM,),
    },
}
