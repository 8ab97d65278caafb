"""The command `lists`: prints what may be configured."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from bridge.clients import RETRY_DEADLINE_AT_START, listrak_client
from bridge.commands.terminal import terminal
from bridge.environment.values import ListSetting
from bridge.errors import BridgeError, CredentialsError, RefusedError, TemporaryError
from bridge.flow.source import ResolvedLists, resolve
from bridge.listrak import wire
from bridge.metrics import Metrics
from bridge.output import texts


async def show_lists(settings: Any, configured: Sequence[ListSetting]) -> None:
    """Prints the account's lists and their profile fields; says which configured list is wrong.

    Raises what the Listrak client does, and at the end the problem of a list.
    """
    problems: dict[int, BridgeError] = {}
    async with listrak_client(settings, Metrics()) as client:
        listrak = client.with_deadline(RETRY_DEADLINE_AT_START, give_up_on=(CredentialsError,))
        console = terminal()
        table = Table("list", "name", "profile fields (id and name)")
        for row in sorted((await listrak.lists()).rows, key=lambda row: row.list_id):
            try:
                shown = _fields((await listrak.profile_fields(row.list_id)).rows)
            except (TemporaryError, RefusedError) as error:
                shown = "could not be read"
                problems[row.list_id] = error
            table.add_row(str(row.list_id), texts.without_addresses(row.list_name or ""), shown)
        resolved = await resolve(listrak, configured)
    console.print(table)
    for list_id, problem in (problems | resolved.problems).items():
        console.print(f"List {list_id}: {problem}")
    console.print(
        "Configure them as LISTRAK_LISTS=list,list=field: the profile field, by id or exact name, "
        "is the one whose value becomes the userId."
    )
    ResolvedLists([], problems | resolved.problems).require()


def _fields(fields: Sequence[wire.ProfileField]) -> str:
    shown = (
        f"{field.segmentation_field_id}  {field.segmentation_field_name or ''}" for field in fields
    )
    return texts.without_addresses("\n".join(shown)) or "none"
