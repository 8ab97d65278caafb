"""The check of the status port: free, served by the running service, or taken by something else."""

import anyio
import msgspec

from bridge.environment.settings import Settings
from bridge.environment.values import Bind
from bridge.errors import ConfigurationError, TemporaryError
from bridge.output.texts import line_of
from bridge.state.lock import is_locked
from bridge.transport.http import Http

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (where to ask, not to listen)


class _Report(msgspec.Struct):
    """The part of a /readyz that tells a service of ours."""

    ready: bool
    status: str


async def check_status_port(settings: Settings) -> str:
    """The finding about the port. Raises ConfigurationError where it can't be listened on."""
    bind = settings.status_bind
    if bind is None:
        return "off: health and metrics are not served"
    if not bind.port:
        return "any free port; the log tells which (status.listening)"
    address = f"{bind.host}:{bind.port}"
    problem = await _problem(bind)
    if problem is None:
        return f"{address} is free"
    if not is_locked(settings.state):
        raise ConfigurationError(
            "BRIDGE_STATUS_BIND",
            f"can't listen on {address}: {problem}. A first start ends with that; a later one "
            "goes on without health and metrics, and tries again every minute",
        )
    report = await _ask(bind)
    if report is None:
        raise ConfigurationError(
            "BRIDGE_STATUS_BIND",
            f"can't listen on {address}: {problem}, and no service of this program answers there. "
            "If the one that runs is meant to, it shows no health and no metrics; it tries again "
            "every minute",
        )
    return f"{address} is served by a running service: {line_of(report.status)}"


async def _problem(bind: Bind) -> str | None:
    """The reason why nobody can listen there now, None if one can."""
    try:
        listener = await anyio.create_tcp_listener(local_host=bind.host, local_port=bind.port)
    except OSError as error:
        return error.strerror or str(error)
    await listener.aclose()
    return None


async def _ask(bind: Bind) -> _Report | None:
    """The report of the service that is served there, None for something else."""
    host = _EVERYWHERE.get(bind.host, bind.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{bind.port}/readyz"
    try:
        async with Http(timeout=5) as http:
            answer = await http.request("GET", url, headers={})
        return msgspec.json.decode(answer.body, type=_Report)
    except (TemporaryError, msgspec.DecodeError, UnicodeDecodeError):
        return None
