"""Targets that read what stands on this machine: the environment, credentials, and requests."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from unittest import mock
from urllib.parse import urlsplit

from bridge import spool
from bridge.environment import settings
from bridge.environment.settings import DECLARATIONS
from bridge.flow.page import address_keys
from bridge.listrak import times
from bridge.output.redaction import SECRETS
from bridge.state.opening import verify
from bridge.state.store import Store, open_store
from bridge.transport.http import proxy_of
from fuzz.mutation import Mutator
from fuzz.shrinking import smaller_json
from fuzz.state_files import folder, template
from fuzz.target import REFUSED, SECRET, FlawError, Target

LONGEST_VALUE: Final = 131_000
"""Bytes of a variable at most: Linux takes no longer ones."""

SECRETS_NAMED: Final = frozenset(one.variable for one in DECLARATIONS.values() if one.secret)
NAMES: Final = (
    *(one.variable for one in DECLARATIONS.values()),
    *(f"{name}_FILE" for name in sorted(SECRETS_NAMED)),
    *("STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "BRIDGE_STATES"),
)


class Environment(Target):
    """Environments, as JSON objects of texts."""

    name = "environment"
    what = "environments, read as settings"

    async def take(self, data: bytes) -> str:
        """Loads the settings of an environment."""
        SECRETS.clear()
        environment = _environment(data)
        loaded = settings.load(environment)
        settings.unknown(environment)
        shown = repr(loaded)
        if any(environment.get(name, "").strip() in shown for name in _set_alone(environment)):
            raise FlawError("the settings show a secret")
        return "settings"

    def hidden(self, data: bytes) -> Iterator[str]:
        """The secret, unless it stands where none belongs."""
        yield from (one for one in super().hidden(data) if one != SECRET)
        environment = _environment(data)
        if not any(SECRET in value for name, value in environment.items() if not _is_secret(name)):
            yield SECRET

    def mutated(self, data: bytes, mutator: Mutator) -> bytes:
        """An environment of which some variables are others."""
        environment = dict(_environment(data))
        for _ in range(mutator.random.choice((1, 1, 2, 3))):
            name = mutator.random.choice(NAMES)
            before = environment.get(name) or mutator.random.choice([*environment.values(), ""])
            environment[name] = mutator.of_text(before)
            if mutator.random.random() < 0.1:
                del environment[name]
        return json.dumps(environment).encode()

    def smaller(self, data: bytes) -> Iterator[bytes]:
        """Environments with fewer variables, or shorter values."""
        return smaller_json(data)


def _is_secret(name: str) -> bool:
    return name in SECRETS_NAMED


def _set_alone(environment: Mapping[str, str]) -> Iterator[str]:
    """The secrets that are set, long enough not to stand elsewhere by chance."""
    for name in SECRETS_NAMED:
        value = environment.get(name, "").strip()
        others = [text for other, text in environment.items() if other not in SECRETS_NAMED]
        if len(value) > 11 and not any(value in text for text in others):
            yield name


def _environment(data: bytes) -> dict[str, str]:
    """The environment that an input stands for, as the kernel would hand it over."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return {
        name: _as_handed_over(value)
        for name, value in (given.items() if isinstance(given, dict) else ())
        if isinstance(value, str)
    }


def _as_handed_over(value: str) -> str:
    """A text without what no variable can hold: NUL, halves of characters, more than fits."""
    data = value.replace("\0", "").encode("utf-8", "surrogatepass")[:LONGEST_VALUE]
    return data.decode("utf-8", "surrogateescape")


class Proxies(Target):
    """Proxies of the environment, as JSON objects of texts."""

    name = "proxy"
    what = "proxies that the environment names"

    async def take(self, data: bytes) -> str:
        """Looks for the proxy of an address, as each connection does."""
        SECRETS.clear()
        with mock.patch.dict(os.environ, _environment(data)):
            found = proxy_of("https://api.listrak.com/email/v1")
        return "none" if found is None else f"a proxy at {urlsplit(found).hostname}"

    def mutated(self, data: bytes, mutator: Mutator) -> bytes:
        """An environment in which one of them is another one."""
        environment = dict(_environment(data))
        name = mutator.random.choice([*environment, "NO_PROXY"])
        environment[name] = mutator.of_text(environment.get(name, ".example.com"))
        return json.dumps(environment).encode()

    def smaller(self, data: bytes) -> Iterator[bytes]:
        """Shorter ones."""
        return smaller_json(data)


class Credentials(Target):
    """Files that hold a secret."""

    name = "credentials"
    what = "files of secrets"

    async def take(self, data: bytes) -> str:
        """Loads settings of which one stands in such a file."""
        SECRETS.clear()
        with folder() as here:
            place = here / "secret"
            place.write_bytes(data)
            loaded = settings.load(_environment_with(place), only=frozenset(["segment_write_key"]))
        secret: str = loaded.segment_write_key
        if not (secret and secret.isascii() and secret.isprintable()):
            raise FlawError("no header takes this secret")
        return "a secret"

    def mutated(self, data: bytes, mutator: Mutator) -> bytes:
        """Other bytes, perhaps in another encoding."""
        if mutator.random.random() < 0.2:
            text = data.decode("utf-8", "replace")
            data = text.encode(mutator.random.choice(("utf-16", "utf-8-sig", "utf-16-le", "utf-7")))
        return mutator.of_bytes(data)


def _environment_with(place: Path) -> dict[str, str]:
    return {"SEGMENT_WRITE_KEY_FILE": str(place)}


class Requests(Target):
    """Files of requests beside the state file."""

    name = "requests"
    what = "requests beside the state file"

    async def take(self, data: bytes) -> str:
        """Takes up a request as the service does, and looks at what that has left."""
        with folder() as here:
            state = here / "bridge.db"
            (here / "bridge.db.request-1").write_bytes(data)
            ((_, request),) = spool.waiting(state)
            if isinstance(request, spool.Invalid):
                if SECRET in request.reason or "\n" in request.reason:
                    raise FlawError("the reason of a refusal is no harmless line")
                return REFUSED
            state.write_bytes(template().content)
            async with open_store(state) as store:
                async with store.transaction():
                    await self._take_up(request, store)
                await self._look_again(store)
            verify(state)
        return type(request).__name__

    @staticmethod
    async def _take_up(request: Any, store: Store) -> None:
        (list_id, *_) = template().lists
        match request:
            case spool.Repair(messages):
                await store.messages.request_rescan(messages)
            case spool.Backfill(_, since, events, warehouse_only) if events:
                await store.backfills.begin_events(list_id, since, warehouse_only=warehouse_only)
            case spool.Backfill(_, since, _, warehouse_only):
                ends = {"Email Sent": "2026-06-01T00:00:00.000Z"}
                await store.backfills.begin(list_id, since, ends, warehouse_only=warehouse_only)
            case spool.IdentifyAll():
                await store.identify_runs.begin(list_id, 1_778_500_000.0)
            case spool.Erase(address):
                await store.erasures.erase(address, address_keys([address.lower()]))

    @staticmethod
    async def _look_again(store: Store) -> None:
        (list_id, *_) = template().lists
        for kind in ("history", "events"):
            backfill = await store.backfills.of(list_id, kind)
            if backfill is not None and backfill.since:
                times.seconds(backfill.since)

    def mutated(self, data: bytes, mutator: Mutator) -> bytes:
        """Another request."""
        if mutator.random.random() < 0.3:
            return mutator.of_bytes(data)
        return mutator.of_json(data)

    def smaller(self, data: bytes) -> Iterator[bytes]:
        """Smaller requests."""
        return smaller_json(data)
