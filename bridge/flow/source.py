"""The configured lists, as the account has them."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.errors import ConfigurationError
from bridge.listrak import wire
from bridge.listrak.client import Listrak
from bridge.listrak.times import Instant
from bridge.values import ListSetting


@dataclass(frozen=True)
class SourceList:
    """A configured list.

    field_id: of the profile field that holds the userId, None for none.
    horizon: its start horizon; what happened before it is not sent. "" until it is known.
    """

    list_id: int
    name: str
    field_id: int | None
    horizon: Instant = ""

    @property
    def properties(self) -> dict[str, str]:
        """The properties that all events of the list carry."""
        return {"list_id": str(self.list_id), "list_name": self.name}


async def resolve(listrak: Listrak, wanted: Sequence[ListSetting]) -> list[SourceList]:
    """Finds the configured lists and profile fields.

    Raises ConfigurationError naming LISTRAK_LISTS for what the account doesn't have.
    """
    names = {row.list_id: row.list_name or "" for row in await listrak.lists()}
    sources: list[SourceList] = []
    for setting in wanted:
        if setting.list_id not in names:
            there = ", ".join(f"{number} ({name})" for number, name in sorted(names.items()))
            raise ConfigurationError(
                "LISTRAK_LISTS",
                f"the account has no list {setting.list_id}; it has: {there or 'none'}",
            )
        field_id: int | None = None
        if setting.profile_field is not None:
            fields = await listrak.profile_fields(setting.list_id)
            field_id = match_field(setting, fields)
        sources.append(SourceList(setting.list_id, names[setting.list_id], field_id))
    return sources


def match_field(setting: ListSetting, fields: Sequence[wire.ProfileField]) -> int:
    """The id of a list's profile field, given its id or exact name. Raises ConfigurationError."""
    wanted = setting.profile_field or ""
    by_id = [row for row in fields if str(row.segmentation_field_id) == wanted]
    matches = by_id or [row for row in fields if row.segmentation_field_name == wanted]
    if len(matches) == 1:
        return matches[0].segmentation_field_id
    if matches:
        ids = ", ".join(str(row.segmentation_field_id) for row in matches)
        raise ConfigurationError(
            "LISTRAK_LISTS",
            f"list {setting.list_id} has several profile fields {wanted!r}; "
            f"name one by its id: {ids}",
        )
    there = ", ".join(
        f"{row.segmentation_field_id} ({row.segmentation_field_name})" for row in fields
    )
    raise ConfigurationError(
        "LISTRAK_LISTS",
        f"list {setting.list_id} has no profile field {wanted!r}; it has: {there or 'none'}",
    )
