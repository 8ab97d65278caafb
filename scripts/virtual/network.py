"""Connections within a process: what is written arrives, in order, after the network's latency."""

import asyncio
import errno
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

PAUSE_ABOVE: Final = 65_536
"""Bytes that may wait for a reader before the writer is paused, as of a socket."""

FIRST_PORT: Final = 20_000

ProtocolFactory = Callable[[], asyncio.Protocol]


class Address(NamedTuple):
    """Where a server is; stands in for a connected socket."""

    host: str
    port: int

    def getsockname(self) -> tuple[str, int]:
        """As of a socket."""
        return self.host, self.port

    def close(self) -> None:
        """Does nothing: there is nothing to be closed yet."""


class Server:
    """A server of this process, as far as those look at it who started it."""

    def __init__(self, network: "Network", address: Address) -> None:
        self.sockets = [address]
        self._network = network

    def close(self) -> None:
        """Takes no more connections; those that stand go on."""
        for address in self.sockets:
            self._network.servers.pop(address.port, None)
        self.sockets = []

    async def wait_closed(self) -> None:
        """Returns at once."""


class Network:
    """All servers of a loop, and the connections to them.

    latency: draws the seconds that some bytes take.
    is_down: nothing can be reached.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.servers: dict[int, ProtocolFactory] = {}
        self.latency: Callable[[], float] = lambda: 0.0
        self.is_down = False
        self._loop = loop
        self._next_port = FIRST_PORT
        self._standing: set[Transport] = set()

    def listen(self, factory: ProtocolFactory, host: str, port: int) -> Server:
        """Serves at a port, 0 for any. Raises OSError for one that is in use."""
        if not port:
            port = self._next_port = self._next_port + 1
        if port in self.servers:
            raise OSError(errno.EADDRINUSE, "address already in use")
        self.servers[port] = factory
        return Server(self, Address(host, port))

    def address(self, host: str, port: int) -> Address:
        """The address of a server. Raises ConnectionRefusedError where nobody listens."""
        if self.is_down or port not in self.servers:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "connection refused")
        return Address(host, port)

    def connect(
        self, factory: ProtocolFactory, address: Address
    ) -> tuple["Transport", asyncio.Protocol]:
        """A connection to a server, made at once; returns the client's side of it."""
        client, server = factory(), self.servers[address.port]()
        near, far = Transport(self, client), Transport(self, server)
        near.peer, far.peer = far, near
        self._standing |= {near, far}
        client.connection_made(near)
        server.connection_made(far)
        return near, client

    def cut(self) -> None:
        """Ends all connections as a client does that is killed: nothing more arrives.

        Nor does it begin new ones, until `is_down` is taken back.
        """
        self.is_down = True
        for transport in list(self._standing):
            transport.lose(ConnectionResetError(errno.ECONNRESET, "connection reset"))

    def schedule(self, call: Callable[[], None], not_before: float) -> float:
        """Has some bytes arrive; returns when, which is no sooner than what was sent before."""
        at = max(not_before, self._loop.time() + self.latency())
        if at <= self._loop.time():
            self._loop.call_soon(call)
        else:
            self._loop.call_at(at, call)
        return at

    def forget(self, transport: "Transport", error: Exception | None) -> None:
        """Tells a side of a connection that it is lost."""
        self._standing.discard(transport)
        self._loop.call_soon(transport.get_protocol().connection_lost, error)


class Transport(asyncio.Transport):
    """A side of a connection.

    peer: the other one.
    """

    peer: "Transport"

    def __init__(self, network: Network, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self._network = network
        self._protocol = protocol
        self._sent: deque[bytes | None] = deque()
        self._latest = 0.0
        self._unread: deque[bytes | None] = deque()
        self._is_paused = self._is_closing = self._is_lost = self._has_paused_peer = False

    def get_protocol(self) -> asyncio.Protocol:
        """Whoever reads here."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Has somebody else read."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def write(self, data: Any) -> None:
        """Sends bytes; those after the end are dropped, as of a socket."""
        if data and not self._is_closing:
            self._send(bytes(data))

    def can_write_eof(self) -> bool:
        """Tells that there are no half-closed connections here."""
        return False

    def close(self) -> None:
        """Ends the connection, after all that was written."""
        if not self._is_closing:
            self._is_closing = True
            self._send(None)
            self._lost(None)

    def abort(self) -> None:
        """Resets the connection: what is on its way is lost."""
        if not self._is_lost:
            self.lose(None)
            self.peer.lose(ConnectionResetError(errno.ECONNRESET, "connection reset by peer"))

    def lose(self, error: Exception | None) -> None:
        """Takes note of the end; nothing more arrives, nothing more leaves."""
        self._sent.clear()
        self._unread.clear()
        self._is_closing = True
        self._lost(error)

    def is_closing(self) -> bool:
        """Tells whether it is at its end."""
        return self._is_closing

    def pause_reading(self) -> None:
        """Lets what arrives wait."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Reads what has waited."""
        self._is_paused = False
        while self._unread and not self._is_paused:
            self._take(self._unread.popleft())
        self._let_peer_write()

    def is_reading(self) -> bool:
        """Tells whether what arrives is read."""
        return not self._is_paused and not self._is_closing

    def get_write_buffer_size(self) -> int:
        """Bytes on their way."""
        return sum(len(part) for part in (*self._sent, *self.peer._unread) if part)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Keeps the limits as they are."""

    def _send(self, part: bytes | None) -> None:
        self._sent.append(part)
        self._latest = self._network.schedule(self._arrive, self._latest)
        if self.peer._is_paused and self.get_write_buffer_size() > PAUSE_ABOVE:
            self._has_paused_peer = True
            self._protocol.pause_writing()

    def _arrive(self) -> None:
        """Brings what was sent first to the other side."""
        if self._sent:
            part = self._sent.popleft()
            if self.peer._is_paused:
                self.peer._unread.append(part)
            else:
                self.peer._take(part)

    def _take(self, part: bytes | None) -> None:
        if self._is_lost:
            return
        if part is not None:
            self._protocol.data_received(part)
        elif not self._protocol.eof_received():
            self.close()

    def _let_peer_write(self) -> None:
        if self.peer._has_paused_peer and not self._unread:
            self.peer._has_paused_peer = False
            self.peer._protocol.resume_writing()

    def _lost(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._network.forget(self, error)
            self._let_peer_write()
