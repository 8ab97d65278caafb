"""The command `lists`: prints what may be configured."""

from typing import Any

from rich.table import Table

from bridge.clients import RETRY_DEADLINE_AT_START, listrak_client
from bridge.commands.terminal import terminal
from bridge.errors import CredentialsError
from bridge.metrics import Metrics


async def show_lists(settings: Any) -> None:
    """Prints the account's lists and their profile fields. Raises what the Listrak client does."""
    async with listrak_client(settings, Metrics()) as client:
        listrak = client.with_deadline(RETRY_DEADLINE_AT_START, give_up_on=(CredentialsError,))
        console = terminal()
        table = Table("list", "name", "profile fields (id and name)")
        for row in sorted(await listrak.lists(), key=lambda row: row.list_id):
            fields = await listrak.profile_fields(row.list_id)
            shown = "\n".join(
                f"{field.segmentation_field_id}  {field.segmentation_field_name or ''}"
                for field in fields
            )
            table.add_row(str(row.list_id), row.list_name or "", shown or "none")
    console.print(table)
    console.print(
        "Configure them as LISTRAK_LISTS=list,list=field: the profile field, by id or exact name, "
        "is the one whose value becomes the userId.",
        highlight=False,
    )
