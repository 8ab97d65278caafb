"""Tells people of userIds that can't be any: in the log, and as metrics."""

from bridge.flow.mapping.user_ids import MOST_SHARED
from bridge.flow.page import ContactPoll
from bridge.metrics import Metrics
from bridge.output.logs import log


class UserIdAlarm:
    """Warns of withheld userIds, and gives the alarm where many contacts share one.

    The shared value is logged for debugging alone, as it may be somebody's.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def note(self, poll: ContactPoll) -> None:
        """Gives the alarm as soon as a poll under way shows it, once a poll."""
        value, contacts = poll.user_ids.shared.most()
        if contacts > MOST_SHARED and not poll.user_ids.is_told:
            poll.user_ids.is_told = True
            self._tell_shared(poll, value, contacts, "at least, so far")

    def complete(self, poll: ContactPoll, value: str, contacts: int) -> None:
        """Tells what a complete poll has shown.

        value: the userId that most contacts of the list share, as the state file has them.
        contacts: how many do; 0 for none.
        """
        source, withheld = poll.source, poll.user_ids.withheld
        if withheld:
            log.warning(
                "user_id.withheld",
                list=source.list_id,
                field=source.field_id,
                contacts=withheld.total(),
                counted="all of the poll" if poll.user_ids.is_whole else "since the last start",
                values=dict(withheld),
                note="these values stand for nobody, so they were not sent as userIds",
            )
        if not poll.sweep:
            return
        if poll.user_ids.is_whole:
            self._metrics.user_ids_withheld.labels(str(source.list_id)).set(withheld.total())
        self._metrics.user_id_shared.labels(str(source.list_id)).set(contacts)
        if contacts > MOST_SHARED:
            self._tell_shared(poll, value, contacts, "known contacts of the list")

    def _tell_shared(self, poll: ContactPoll, value: str, contacts: int, counted: str) -> None:
        source = poll.source
        gauge = self._metrics.user_id_shared.labels(str(source.list_id))
        gauge.set(contacts)
        log.error(
            "user_id.shared",
            list=source.list_id,
            field=source.field_id,
            contacts=contacts,
            counted=counted,
            note="they have the same userId, so that Segment merges them into one profile: choose "
            "another profile field, or empty it in Listrak; BRIDGE_IGNORED_USER_IDS withholds it",
        )
        log.debug("user_id.shared_value", list=source.list_id, value=value)
