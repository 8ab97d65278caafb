"""The configured lists, as the account has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.errors import ConfigurationError, CredentialsError, RefusedError
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


@dataclass(frozen=True)
class ResolvedLists:
    """The configured lists, as far as the account has them.

    found: those that can be read.
    problems: by list id, what is wrong with the others; each names LISTRAK_LISTS.
    """

    found: list[SourceList]
    problems: dict[int, ConfigurationError]

    @property
    def key(self) -> frozenset[tuple[int, int | None]]:
        """The lists and profile fields that can be read, whatever they are called."""
        return frozenset((source.list_id, source.field_id) for source in self.found)

    def all_found(self) -> list[SourceList]:
        """All lists. Raises the first problem there is."""
        for problem in self.problems.values():
            raise problem
        return self.found


async def resolve(listrak: Listrak, wanted: Sequence[ListSetting]) -> ResolvedLists:
    """Finds the configured lists and profile fields. Raises TemporaryError."""
    names = {row.list_id: row.list_name or "" for row in await listrak.lists()}
    resolved = ResolvedLists([], {})
    for setting in wanted:
        try:
            resolved.found.append(await _resolve_one(listrak, setting, names))
        except ConfigurationError as error:
            resolved.problems[setting.list_id] = error
    return resolved


async def _resolve_one(
    listrak: Listrak, setting: ListSetting, names: Mapping[int, str]
) -> SourceList:
    """One configured list. Raises ConfigurationError for what the account doesn't have."""
    list_id = setting.list_id
    if list_id not in names:
        there = ", ".join(f"{number} ({name})" for number, name in sorted(names.items()))
        raise ConfigurationError(
            "LISTRAK_LISTS", f"the account has no list {list_id}; it has: {there or 'none'}"
        )
    if setting.profile_field is None:
        return SourceList(list_id, names[list_id], None)
    try:
        fields = await listrak.profile_fields(list_id)
    except (CredentialsError, RefusedError) as error:
        # The list of lists was answered: it is these fields that are refused.
        raise ConfigurationError(
            "LISTRAK_LISTS", f"list {list_id}: its profile fields can't be read: {error}"
        ) from error
    return SourceList(list_id, names[list_id], match_field(setting, fields))


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
