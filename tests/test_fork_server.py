"""The fork server of the tests: its commands do what `python -m` does, but for the imports."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import fork_server
import pytest

pytestmark = pytest.mark.anyio

ENVIRONMENT = {"PATH": os.environ["PATH"]}

SEEN = """
import json, os, signal, sys, time
seen = {
    "environment": {k: v for k, v in os.environ.items() if k != "LC_CTYPE"},  # Python's own
    "inherited": {k: os.getenv(k) for k in ("SSL_CERT_FILE", "OPENBLAS_NUM_THREADS")},
    "arguments": sys.argv,
    "folder": [os.getcwd(), sys.path[0]],
    "name": [__name__, __spec__.name, sys.modules["__main__"].__file__],
    "signals": [str(signal.getsignal(number)) for number in signal.valid_signals()],
    "streams": [stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)],
    "encodings": [stream.encoding for stream in (sys.stdin, sys.stdout, sys.stderr)],
    "files": os.listdir("/proc/self/fd"),
    "threads": os.listdir("/proc/self/task")[1:],
    "zone": time.tzname,
}
os.environ["LEFT"] = "behind"
print(json.dumps(seen))
"""

MUCH = """
import sys
for number in range(60_000):
    print(f"line {number} of the output")
    print(f"line {number} of the errors", file=sys.stderr)
"""

WAITS = """
import os, sys, time
with open("ids.new", "w") as file:
    file.write(f"{os.getpid()} {os.getppid()}")
os.rename("ids.new", "ids")
time.sleep(600)
"""

CLIENT = """
import anyio, fork_server
async def main():
    await fork_server.run("program", environment={})
anyio.run(main)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which programs lie, and are started."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def both(
    folder: Path, text: str, *arguments: str, **environment: str
) -> list[subprocess.CompletedProcess[bytes]]:
    """Runs a program by the server, and as it is started in real life."""
    (folder / "program.py").write_text(text, encoding="utf-8")
    given = ENVIRONMENT | environment
    command = [sys.executable, "-m", "program", *arguments]
    with anyio.fail_after(60):
        return [
            await fork_server.run("program", *arguments, environment=given),
            await anyio.run_process(command, env=given, check=False),
        ]


async def test_it_sees_what_a_real_process_sees(folder: Path) -> None:
    """Its own environment, arguments, folder, signals and files; nothing of those before it."""
    for environment in ({"ONE": "1", "TZ": "Asia/Tokyo"}, {"TWO": "ü\udcff"}, {}):
        forked, real = await both(folder, SEEN, "an argument", "--option", **environment)
        assert (forked.returncode, forked.stderr) == (0, b"")
        assert json.loads(forked.stdout) == json.loads(real.stdout)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        ("raise SystemExit(75)", 75),
        ("raise SystemExit('a last word')", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("import atexit; atexit.register(print, 'left'); print('leaves')", 0),
        ("import sys; sys.stdout.write('no newline'); sys.stderr.write('nor here')", 0),
    ],
)
async def test_it_ends_as_a_real_process_does(folder: Path, text: str, code: int) -> None:
    """Exit code, or the signal that ended it, and what it wrote until then."""
    forked, real = await both(folder, text)
    assert forked.returncode == real.returncode == code
    assert (forked.stdout, forked.stderr) == (real.stdout, real.stderr)


async def test_the_bridge_itself(rig_of: Any) -> None:
    """The same output, errors and exit codes."""
    async with rig_of() as rig:
        for command in ("settings", "lists", "dead-letters", "fly"):
            assert await rig.run(command) == await rig.run(command, cold=True)


async def test_its_traceback(folder: Path) -> None:
    """An error that nobody catches: exit code 1, and where it was."""
    for done in await both(folder, "print('begins')\n1 / 0\n"):
        assert (done.returncode, done.stdout) == (1, b"begins\n")
        assert b'program.py", line 2, in <module>' in done.stderr
        assert done.stderr.endswith(b"\nZeroDivisionError: division by zero\n")


async def test_much_output(folder: Path) -> None:
    """Megabytes on both streams are neither lost nor waited for."""
    forked, real = await both(folder, MUCH)
    assert len(forked.stdout) > 1_000_000
    assert (forked.stdout, forked.stderr) == (real.stdout, real.stderr)


async def test_randomness_is_not_shared(folder: Path) -> None:
    """The jitter of one command says nothing of the next one's."""
    text = "import random; print(random.random())"
    assert len({(await both(folder, text))[0].stdout for _ in range(3)}) == 3


async def test_several_at_once(folder: Path) -> None:
    """One that waits for another is not in its way."""
    text = """
import os, sys, time
open(sys.argv[1], "w").close()
while not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
"""
    (folder / "program.py").write_text(text, encoding="utf-8")
    codes: list[int] = []

    async def run(*arguments: str) -> None:
        done = await fork_server.run("program", *arguments, environment=ENVIRONMENT)
        codes.append(done.returncode)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, "first", "second")
            tasks.start_soon(run, "second", "first")
    assert codes == [0, 0]


async def ids(folder: Path) -> list[int]:
    """The process ids of the program that waits, once it does, and of its server."""
    path = anyio.Path(folder / "ids")
    with anyio.fail_after(60):
        while not await path.exists():  # noqa: ASYNC110
            await anyio.sleep(0.02)
    return [int(number) for number in (await path.read_text()).split()]


async def test_it_is_killed_where_nobody_waits(folder: Path) -> None:
    """Once the wait is over it is dead; the next command runs all the same."""
    (folder / "program.py").write_text(WAITS, encoding="utf-8")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: fork_server.run("program", environment=ENVIRONMENT))
        pid, _server = await ids(folder)
        tasks.cancel_scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    forked, _real = await both(folder, "print('next')")
    assert forked.stdout == b"next\n"


async def test_it_ends_with_its_client(folder: Path) -> None:
    """A killed client leaves neither a server nor a command behind."""
    (folder / "program.py").write_text(WAITS, encoding="utf-8")
    path = {"PYTHONPATH": str(Path(fork_server.__file__).parent)}
    client = await anyio.open_process([sys.executable, "-c", CLIENT], env=ENVIRONMENT | path)
    async with client:
        ends = [os.pidfd_open(pid) for pid in await ids(folder)]
        client.kill()
        with anyio.fail_after(60):
            for end in ends:
                await anyio.wait_readable(end)
                os.close(end)
