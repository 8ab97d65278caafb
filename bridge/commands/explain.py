"""The command `explain`: what Listrak shows of a person or an id, and what became of it."""

from typing import Any

import msgspec

from bridge.clients import listrak_client
from bridge.commands.explanation.message_ids import explain_email, explain_event, show_emails
from bridge.commands.explanation.person import Person, PersonExplainer, show
from bridge.commands.readable import resolve_now
from bridge.commands.requirements import configured_lists, require_started
from bridge.commands.terminal import print_json, terminal
from bridge.environment.settings import Settings
from bridge.errors import TemporaryError
from bridge.flow.findings.finding import fingerprint_of
from bridge.flow.source import ResolvedLists
from bridge.listrak.client import Listrak
from bridge.listrak.times import Zone
from bridge.metrics import Metrics
from bridge.state.store import Store, open_store


def is_explicable(subject: str) -> bool:
    """Tells whether a text is an address, the id of an email, or a messageId of ours."""
    is_number = subject.isascii() and subject.isdigit()
    return "@" in subject.strip("@ ") or is_number or fingerprint_of(subject) is not None


async def explain(
    settings: Settings, subject: str, *, only_list: int | None, as_json: bool
) -> None:
    """Prints what is known of a subject, which is_explicable.

    only_list: id of the list whose rows are read of a person, None for all.

    Raises ConfigurationError, StateError, and what the Listrak client raises. What can be read is
    printed before; then the problem of a list that can't be read is raised.
    """
    async with open_store(settings.state, read_only=True) as store:
        await require_started(store, "what it sends can be explained from then on")
        fingerprint = fingerprint_of(subject)
        if fingerprint is not None:
            zone = Zone(settings.listrak_timezone)
            event = await explain_event(store, zone, subject, fingerprint)
            _tell_event(event, as_json=as_json)
            return
        async with listrak_client(settings, Metrics()) as listrak:
            if subject.isdigit():
                found = await explain_email(settings, store, listrak, int(subject))
                _tell_emails(found, as_json=as_json)
            else:
                lists = await resolve_now(listrak, settings, configured_lists(settings, only_list))
                person = await _person(settings, store, listrak, subject, lists)
                _tell_person(person, as_json=as_json)
                lists.require()
                if person.problem is not None:
                    raise TemporaryError(f"not everything could be read: {person.problem}")


async def _person(
    settings: Settings, store: Store, listrak: Listrak, address: str, lists: ResolvedLists
) -> Person:
    person = await PersonExplainer(settings, store, listrak, address).explain(lists.found)
    for list_id, problem in lists.problems.items():
        person.notes.append(f"List {list_id} is left out: {problem}")
    return person


def _tell_person(person: Person, *, as_json: bool) -> None:
    if not as_json:
        show(person, terminal())
        return
    answer: dict[str, Any] = {
        "contacts": person.contacts,
        "rows": person.rows,
        "events": msgspec.to_builtins(person.events),
        "notes": person.notes,
    }
    print_json(answer)


def _tell_emails(emails: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"emails": emails})
    elif emails:
        show_emails(emails, terminal())
    else:
        terminal().print("No email with this id was ever discovered on a list that was read.")


def _tell_event(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    where = f" ({found['message']})" if "message" in found else ""
    console = terminal()
    console.print(f"{found['status']}{where}")
    if found["reason"]:
        console.print(found["reason"])
