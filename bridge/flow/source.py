"""The configured lists, as the account has them."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import anyio

from bridge.environment.values import ListSetting
from bridge.errors import (
    BridgeError,
    ConfigurationError,
    CredentialsError,
    RefusedError,
    TemporaryError,
)
from bridge.listrak import wire
from bridge.listrak.client import Listrak
from bridge.listrak.times import Instant


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


class KnownList(NamedTuple):
    """A configured list as it was read last.

    field_id: of the profile field that it was read with, None for none.
    field: that field as it was configured, by id or name; None where that isn't known.
    """

    name: str
    field_id: int | None
    field: str | None

    def as_configured(self, setting: ListSetting) -> SourceList | None:
        """The list by what was known of it; None where it is configured in another way now."""
        wanted = setting.profile_field
        if wanted is None:
            return SourceList(setting.list_id, self.name, None)
        if self.field_id is None or wanted not in (str(self.field_id), self.field):
            return None
        return SourceList(setting.list_id, self.name, self.field_id)


@dataclass(frozen=True)
class ResolvedLists:
    """The configured lists, as far as the account has them.

    found: those that can be read.
    problems: by list id, what is wrong with the others: a ConfigurationError, which names
        LISTRAK_LISTS, or a TemporaryError, which may pass by itself.
    unverified: by list id, why one that is found is only known from before.
    """

    found: list[SourceList]
    problems: dict[int, BridgeError]
    unverified: dict[int, BridgeError] = field(default_factory=dict)

    @property
    def key(self) -> frozenset[tuple[int, int | None]]:
        """The lists and profile fields that can be read, whatever they are called."""
        return frozenset((source.list_id, source.field_id) for source in self.found)

    @property
    def gravest(self) -> BridgeError | None:
        """The problem that counts: one that a person must mend outranks one that may pass."""
        wrong = [one for one in self.problems.values() if not isinstance(one, TemporaryError)]
        return next(iter([*wrong, *self.problems.values()]), None)

    @property
    def passing(self) -> dict[int, TemporaryError]:
        """The problems that may pass by themselves, by list id."""
        return {
            list_id: problem
            for list_id, problem in self.problems.items()
            if isinstance(problem, TemporaryError)
        }

    @property
    def reasons(self) -> dict[int, str]:
        """The sentence of each problem, by list id."""
        return {list_id: str(problem) for list_id, problem in self.problems.items()}

    def as_before(self, before: "ResolvedLists") -> "ResolvedLists":
        """The lists of now, with those that only can't be told for now as they were before."""
        known = [source for source in before.found if source.list_id in self.passing]
        again = {source.list_id for source in known}
        problems = {each: error for each, error in self.problems.items() if each not in again}
        return ResolvedLists([*self.found, *known], problems)

    def confirmed(self, again: "ResolvedLists") -> "ResolvedLists":
        """The lists that either of two answers tells of; problems are those of both."""
        found = {source.list_id: source for source in (*self.found, *again.found)}
        problems = {each: error for each, error in again.problems.items() if each not in found}
        return ResolvedLists(list(found.values()), problems)

    def require(self, *, all_of_them: bool = True) -> None:
        """Raises the gravest problem; without `all_of_them` only where no list can be read."""
        if self.gravest is not None and (all_of_them or not self.found):
            raise self.gravest


async def resolve(
    listrak: Listrak, wanted: Sequence[ListSetting], known: Mapping[int, KnownList] | None = None
) -> ResolvedLists:
    """Finds the configured lists and profile fields.

    known: by list id, what was known of it: that counts while it can't be told what it is now.

    Raises TemporaryError and RefusedError where not even the lists of the account can be read, nor
    anything else.
    """
    known = known or {}
    before = {
        setting.list_id: source
        for setting in wanted
        if (last := known.get(setting.list_id)) and (source := last.as_configured(setting))
    }
    last_names = {list_id: last.name for list_id, last in known.items()}
    account = await _account(listrak, before, last_names)
    answers: dict[int, SourceList | BridgeError] = {}
    unverified: dict[int, BridgeError] = {}

    async def one(setting: ListSetting) -> None:
        try:
            answers[setting.list_id] = await _resolve_one(listrak, setting, account)
        except (ConfigurationError, TemporaryError) as error:
            answers[setting.list_id] = error
            is_refuted = isinstance(error, ConfigurationError) and error.__cause__ is None
            if not is_refuted and setting.list_id in before:
                unverified[setting.list_id] = error
                answers[setting.list_id] = before[setting.list_id]

    # Side by side: what doesn't answer holds up nobody else.
    async with anyio.create_task_group() as tasks:
        for setting in wanted:
            tasks.start_soon(one, setting)
    resolved = ResolvedLists([], {}, unverified)
    for setting in wanted:
        answer = answers[setting.list_id]
        if isinstance(answer, SourceList):
            resolved.found.append(answer)
        else:
            resolved.problems[setting.list_id] = answer
    return resolved


class _Account(NamedTuple):
    """The lists of an account.

    names: by list id.
    doubt: why there may be more, "" where there can't.
    """

    names: Mapping[int, str]
    doubt: str


async def _account(
    listrak: Listrak, before: Collection[int], last_names: Mapping[int, str]
) -> _Account:
    """The account's lists; none that is certain, where others are answered than who asks for them.

    last_names: by list id; one that isn't told is as it was.

    Raises what the client does.
    """
    try:
        page = await listrak.lists()
    except (RefusedError, TemporaryError) as error:
        if isinstance(error, CredentialsError) or not await _is_answering(listrak, before):
            raise
        return _Account({}, str(error))
    names = {row.list_id: row.list_name or last_names.get(row.list_id, "") for row in page.rows}
    return _Account(names, page.unread[0].reason if page.unread else "")


async def _is_answering(listrak: Listrak, lists: Collection[int]) -> bool:
    """Tells whether anything of any of these lists can be read."""
    for list_id in lists:
        with suppress(BridgeError):
            await listrak.with_deadline(0.0).campaigns(list_id)
            return True
    return False


async def _resolve_one(listrak: Listrak, setting: ListSetting, account: _Account) -> SourceList:
    """One configured list.

    Raises ConfigurationError for what the account doesn't have, TemporaryError for what it doesn't
    tell now.
    """
    list_id, names = setting.list_id, account.names
    if list_id not in names:
        if account.doubt:
            raise TemporaryError(
                f"list {list_id}: not all lists of the account can be read: {account.doubt}"
            )
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
    except TemporaryError as error:
        raise TemporaryError(
            f"list {list_id}: its profile fields could not be read for now: {error}"
        ) from error
    try:
        return SourceList(list_id, names[list_id], match_field(setting, fields.rows))
    except ConfigurationError:
        if not fields.unread:
            raise
        raise TemporaryError(
            f"list {list_id}: not all of its profile fields can be read: {fields.unread[0].reason}"
        ) from None


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
