"""The requirements of commands: what the settings and the state file must be beforehand."""

from bridge.environment.settings import Settings
from bridge.errors import ConfigurationError, StateError
from bridge.state.file_format import SCHEMA_VERSION
from bridge.state.store import Store


def configured_lists(settings: Settings, only_list: int | None) -> list[int]:
    """The ids of all configured lists, or the one that is asked for. Raises ConfigurationError."""
    configured = [setting.list_id for setting in settings.lists]
    if only_list is None:
        return configured
    if only_list not in configured:
        raise ConfigurationError("LISTRAK_LISTS", f"doesn't name list {only_list}")
    return [only_list]


async def require_current(store: Store) -> None:
    """Raises StateError for a file of an older format: only a service brings it up to date."""
    if await store.version() < SCHEMA_VERSION:
        raise StateError(
            f"BRIDGE_STATE: {str(store.path)!r} was written by an older version. Start the service "
            "once: it brings the file up to date"
        )


async def require_started(store: Store, otherwise: str) -> None:
    """Raises StateError where no service of this version was started with the state file.

    otherwise: what happens by itself after a first start.
    """
    await require_current(store)
    if await store.meta.get("since") is None:
        raise StateError(
            f"BRIDGE_STATE: with {str(store.path)!r} no service was started yet. "
            f"Start it first; {otherwise}"
        )
