"""A proxy between the bridge and both servers, as companies have them."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from rig import retailer

pytestmark = pytest.mark.anyio

HOSTS = ("api.listrak.example", "auth.listrak.example", "api.segment.example")


async def certificate(folder: Path) -> Path:
    """A certificate for all hosts, which it is the authority of itself; its key is beside it."""
    path = folder / "hosts.pem"
    names = ",".join(f"DNS:{host}" for host in HOSTS)
    await anyio.run_process(
        f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {path}.key -out {path}"
        f" -days 2 -subj /CN=hosts -addext subjectAltName={names}".split()
    )
    return path


@asynccontextmanager
async def proxy(certificates: Path, ports: dict[str, int]) -> AsyncIterator[tuple[int, list[str]]]:
    """A proxy that tunnels to hosts; behind it they speak TLS. Its port, and what it was told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates, f"{certificates}.key")
    heard: list[str] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heard.append(head)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await writer.drain()
        await writer.start_tls(context)
        host = head.split()[1].removesuffix(":443")
        there = await asyncio.open_connection("127.0.0.1", ports[host])
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], heard


async def test_all_goes_through_the_proxy(rig_of: Any, tmp_path: Path) -> None:
    """Tokens, rows and events are tunnelled, with the proxy's own credentials, told to nobody."""
    world = retailer(contacts=10)
    certificates = await certificate(tmp_path)
    async with rig_of(world=world, BRIDGE_SINCE="30d") as rig:
        ports = {
            host: urlsplit(rig.environment[variable]).port
            for host, variable in zip(
                HOSTS, ("LISTRAK_API_URL", "LISTRAK_TOKEN_URL", "SEGMENT_API_URL"), strict=True
            )
        }
        async with proxy(certificates, ports) as (port, heard):
            settings = {
                "LISTRAK_API_URL": f"https://{HOSTS[0]}/email/v1",
                "LISTRAK_TOKEN_URL": f"https://{HOSTS[1]}/OAuth2/Token",
                "SEGMENT_API_URL": f"https://{HOSTS[2]}/v1",
                "HTTPS_PROXY": f"http://somebody:hush-hush@127.0.0.1:{port}",
                "SSL_CERT_FILE": str(certificates),
                "BRIDGE_LOG_LEVEL": "debug",
            }
            checked = await rig.run("check", cold=True, COLUMNS="300", **settings)
            assert checked.code == 0, checked.out
            assert checked.out.count(f"http://127.0.0.1:{port}") == 3
            done = await rig.run("run", "--once", cold=True, **settings)
            assert done.code == 0, done.err
        assert rig.verdict(world.now.replace(year=2025)).ok
        assert {head.split()[1] for head in heard} == {f"{host}:443" for host in HOSTS}
        login = b64encode(b"somebody:hush-hush").decode()
        assert all(f"Proxy-Authorization: Basic {login}" in head for head in heard)
        for said in (checked.out, checked.err, done.err):
            assert "hush" not in said
            assert login not in said
