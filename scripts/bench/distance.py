"""Distance: stands in front of a server on this machine, speaks TLS, and lets every byte wait.

Only the bytes inside of the connection wait, each way the same; the handshake doesn't. Prints the
address it is reached at, and ends with its standard input.

    python -m bench.distance PORT-OF-THE-SERVER SECONDS-EACH-WAY CERTIFICATE KEY
"""

import asyncio
import ssl
import sys
from contextlib import suppress

CHUNK = 2**16
CHUNKS_UNDER_WAY = 256
"""A line that holds 16 MB: it is far away, not narrow."""

Chunk = tuple[float, bytes]


class Distance:
    """Every connection is carried on to the server; `wait` is in seconds each way."""

    def __init__(self, port: int, wait: float) -> None:
        self._port = port
        self._wait = wait

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until one of both sides closes it."""
        near, far = await asyncio.open_connection("127.0.0.1", self._port)
        ways = [
            asyncio.create_task(self._way(reader, far)),
            asyncio.create_task(self._way(near, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            # Errors of a connection end with it; whoever uses it sees it closed.
            await asyncio.gather(*ways, return_exceptions=True)
            far.close()
            writer.close()

    async def _way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way: asyncio.Queue[Chunk] = asyncio.Queue(CHUNKS_UNDER_WAY)
        arriving = asyncio.create_task(self._arrive(under_way, writer))
        try:
            while chunk := await reader.read(CHUNK):
                await under_way.put((asyncio.get_running_loop().time() + self._wait, chunk))
            # What is under way when a side closes still arrives.
            await under_way.join()
        finally:
            arriving.cancel()

    async def _arrive(
        self, under_way: "asyncio.Queue[Chunk]", writer: asyncio.StreamWriter
    ) -> None:
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            with suppress(ConnectionError):
                writer.write(chunk)
                await writer.drain()
            under_way.task_done()


async def main(port: int, wait: float, certificate: str, key: str) -> None:
    """Carries connections until standard input ends."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    ended = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(ended), sys.stdin
    )
    carry = Distance(port, wait).carry
    async with await asyncio.start_server(carry, "127.0.0.1", 0, ssl=context) as server:
        print(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await ended.read()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4]))
