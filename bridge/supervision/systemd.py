"""The service manager's notification socket (sd_notify(3)); silent where there is none."""

import os
import socket
from contextlib import suppress

from bridge.output import texts


class Notifier:
    """Tells systemd how the service is, over the datagram socket named in NOTIFY_SOCKET."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address if address is not None else os.environ.get("NOTIFY_SOCKET", "")

    def tell(self, *assignments: str) -> None:
        """Sends assignments such as "READY=1"; a manager that doesn't listen is no fault."""
        if not self._address:
            return
        # A leading @ stands for the abstract namespace, written as a NUL byte.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        with socket.socket(socket.AF_UNIX, kind) as channel, suppress(OSError):
            # A line break would begin another assignment, and a manager that doesn't read must not
            # be waited for.
            said = "\n".join(texts.escaped(one) for one in assignments)
            channel.sendto(said.encode(), socket.MSG_DONTWAIT, address)

    @property
    def watchdog_interval(self) -> float | None:
        """Seconds between two WATCHDOG=1 (half of what the unit allows); None if not wanted."""
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return (
            int(microseconds) / 2e6 if microseconds.isdigit() and mine and self._address else None
        )
