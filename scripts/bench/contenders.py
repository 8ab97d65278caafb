"""Who brings the load: the service, the least that could, and what users could take today."""

import sys
from pathlib import Path

from bench.load import LIST_ID
from bench.run import SCRIPTS, Contender

PEERS = SCRIPTS.parent / ".venv-bench" / "bin" / "python"
"""Python of the peers' environment."""


def service_environment(address: str, folder: Path) -> dict[str, str]:
    """The service without its limits, else as it comes."""
    return {
        "LISTRAK_CLIENT_ID": "the-benchmark",
        "LISTRAK_CLIENT_SECRET": "the-benchmark",
        "SEGMENT_WRITE_KEY": "the-benchmark",
        "LISTRAK_LISTS": str(LIST_ID),
        "LISTRAK_API_URL": f"{address}/email/v1",
        "LISTRAK_TOKEN_URL": f"{address}/OAuth2/Token",
        "SEGMENT_API_URL": f"{address}/v1",
        "LISTRAK_REQUESTS_PER_SECOND": "0",
        "BRIDGE_EVENTS_PER_SECOND": "0",
        "BRIDGE_SEND_CONCURRENCY": "8",
        "BRIDGE_SINCE": "7d",
        "BRIDGE_STATE": str(folder / "bridge.db"),
        "BRIDGE_STATUS_BIND": "",
    }


def _importing(_address: str, _folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(SCRIPTS)}


def _peer(name: str, module: str) -> Contender:
    return Contender(
        name,
        lambda address: [str(PEERS), "-m", f"bench.peers.{module}", address, str(LIST_ID)],
        lambda *where: {**_importing(*where), "RUNTIME__DLTHUB_TELEMETRY": "false"},
    )


BARE = Contender(
    "bare loop",
    lambda address: [sys.executable, "-m", "bench.peers.bare", address, str(LIST_ID)],
    _importing,
)
SERVICE = Contender(
    "the service",
    lambda _: [sys.executable, "-m", "bridge", "run", "--once"],
    service_environment,
    remembers=True,
)
SPENT = "remembering.txt"
"""Where the one with a stopwatch leaves the CPU seconds of all that remembers."""

WATCHED = Contender(
    "with a stopwatch",
    lambda _: [sys.executable, "-m", "bench.stopwatch", "run", "--once"],
    lambda *where: {**service_environment(*where), **_importing(*where)},
)
SCRIPT = _peer("requests and json", "with_requests")
PACKAGED = (
    _peer("segment-analytics-python", "with_segment_client"),
    _peer("dlt", "with_dlt"),
)
