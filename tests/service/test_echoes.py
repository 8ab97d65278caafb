"""Servers that repeat what they were sent: tokens, keys and addresses, in whatever spelling."""

import json
from base64 import b64decode
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from rig import CLIENT, KEY, SECRET, retailer

from bridge.sandbox.fault import Fault

pytestmark = pytest.mark.anyio

ADDRESS = "jane.doe@example.com"


@dataclass
class Echo(Fault):
    """An error that quotes the request's credentials, and an address."""

    name = "echo"
    code: int = 503
    in_json: bool = True

    async def serve(self, request: web.Request, _handler: Any, /) -> web.StreamResponse:
        """Repeats the token, or the write key, as the header has it and decoded."""
        kind, _, sent = request.headers.get("Authorization", "none").partition(" ")
        said = [kind, sent, sent[3:40], quote(sent, safe=""), CLIENT, SECRET[:12], quote(SECRET)]
        if kind == "Basic":
            said.append(b64decode(sent).decode())
        said += [ADDRESS, quote(ADDRESS, safe=""), "\x1b[31m"]
        text = "\n".join(said)
        if self.in_json:
            spelt = "".join(f"\\u{ord(each):04x}" for each in text)
            body = f'{{"status": {self.code}, "error": "{spelt}", "message": {json.dumps(text)}}}'
            return web.Response(status=self.code, text=body, content_type="application/json")
        return web.Response(status=self.code, text=f"<html>{text}</html>", content_type="text/html")


def shown(said: str) -> list[str]:
    """What of it nobody should see."""
    kept = (KEY, KEY[:8], CLIENT, SECRET, SECRET[:8], "dGhlLXdyMXRl", ADDRESS, "jane.doe", "\x1b")
    return [part for part in kept if part in said]


@pytest.mark.parametrize(
    ("code", "in_json"), [(400, True), (401, False), (404, True), (503, True), (302, False)]
)
async def test_neither_log_nor_last_line_repeats_them(
    rig_of: Any, code: int, in_json: bool
) -> None:
    """Whatever the answer means, what it quotes is hidden; tokens are looked for in every test."""
    async with rig_of(world=retailer(contacts=5), BRIDGE_SINCE="30d") as rig:
        rig.listrak.faults.add(Echo(code=code, in_json=in_json, path="/Message", times=2))
        rig.segment.faults.add(Echo(code=code, in_json=in_json, times=2))
        done = await rig.run("run", "--once")
        assert shown(done.err) == []
        rig.listrak.faults.add(Echo(code=code, in_json=in_json))
        done = await rig.run("check")
        assert done.code in (75, 78)
        assert shown(done.out + done.err) == []
