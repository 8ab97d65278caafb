"""Commands without their imports: a process that has imported the bridge forks for each of them.

A start of `python -m bridge` takes a third of a second of processor time, nearly all for imports.
Each command here is still a process, with its own environment, arguments, folder, output, signals
and seed of `random`, and does what `python -m` does. Shared is what Python settled before: the seed
of hashes, the locale, what an import reads from the environment (PYTHON..., SSL_CERT_FILE). Tests
about those, or about the start itself, start the real command.

Tests call `run`; started as a script, this is the server. It serves one command at a time: there
are as many as commands at once. It ends with its client, however that ends, and its command too.
"""

import atexit
import gc
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile

import anyio

import bridge

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
import machine_clock

sys.path.pop()
CONSTANTS = "TEST_CONSTANTS"
"""The variable with the constants that a command is to have: JSON, by module and name. They are for
waits; a command that is started otherwise has the real ones."""

LONGEST_REQUEST = 1 << 20  # bytes; the kernel refuses longer ones before
_idle: list[socket.socket] = []


async def run(
    module: str, *arguments: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Runs `python -m module` in just this environment; kills it where nobody waits any more."""
    request = json.dumps([module, arguments, dict(environment), str(Path.cwd())]).encode()
    server = _idle.pop() if _idle else _start()
    # Files take all that is written, and nobody has to read along.
    with TemporaryFile() as out, TemporaryFile() as err:
        socket.send_fds(server, [request], [out.fileno(), err.fileno()])
        try:
            await anyio.wait_readable(server)
        except anyio.get_cancelled_exc_class():
            server.shutdown(socket.SHUT_WR)
            with server, anyio.CancelScope(shield=True):
                await anyio.wait_readable(server)
            raise
        code = int(server.recv(16))
        _idle.append(server)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([module, *arguments], code, out.read(), err.read())


def _start() -> socket.socket:
    """Starts a server; takes requests, and gives the exit code of each."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # numpy has one thread, as in bridge/__main__.py.
    settings = {"SSL_CERT_FILE": os.devnull, "OPENBLAS_NUM_THREADS": "1"}
    with its:
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(its.fileno())],
            env={"PATH": os.environ["PATH"]} | settings,
            stdin=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
            start_new_session=True,  # Ctrl-C is for pytest alone
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def import_all() -> None:
    """Imports what commands import, as they do: nothing starts a thread or looks for garbage."""
    gc.disable()
    for module in pkgutil.walk_packages(bridge.__path__, "bridge."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    import_module("anyio._backends._asyncio")
    gc.freeze()
    assert len([*Path("/proc/self/task").iterdir()]) == 1, "what has threads can't be forked"


def serve(client: socket.socket) -> tuple[bytes, list[int]]:
    """Forks for each request until there are no more; returns it, with its output, in the child."""
    while True:
        request, output, _, _ = socket.recv_fds(client, LONGEST_REQUEST, 2)
        if not request:
            sys.exit()
        pid = os.fork()
        if not pid:
            client.close()
            return request, output
        ended = os.pidfd_open(pid)
        if client.fileno() in select.select([client.fileno(), ended], [], [])[0]:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        client.send(str(os.waitstatus_to_exitcode(status)).encode())
        for descriptor in (ended, *output):
            os.close(descriptor)


def become(request: bytes, output: list[int]) -> None:
    """Makes this process the command that was asked for."""
    module, arguments, environment, folder = json.loads(request)
    for number, descriptor in enumerate(output, start=1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    for name, value in json.loads(environment.pop(CONSTANTS, "{}")).items():
        owner, _, constant = name.rpartition(".")
        assert hasattr(sys.modules[owner], constant), name
        setattr(sys.modules[owner], constant, value)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv[1:] = arguments
    machine_clock.install()
    sys.path.insert(0, folder)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    import_all()
    become(*serve(socket.socket(fileno=int(sys.argv[1]))))
