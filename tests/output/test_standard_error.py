"""Standard error: read or not, it takes what is written at once, and in order."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridge.output.redaction import SECRETS
from bridge.output.standard_error import StandardError

FILLED = 300_000
"""More bytes than a pipe holds."""


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def read_until(descriptor: int, end: bytes) -> bytes:
    """All that can be read, up to and with an end."""
    data = b""
    while not data.endswith(end):
        data += os.read(descriptor, 65_536)
    return data


def test_in_order() -> None:
    """All that was written is there once it is drained, and nothing else."""
    with pipe() as (reading, writing):
        stream = StandardError(writing)
        for number in range(1000):
            print(f"line {number} é\ud83d", file=stream)
        assert stream.drain(20)
        said = read_until(reading, b"line 999 \xc3\xa9\\ud83d\n").decode()
        assert said.splitlines() == [f"line {number} é\\ud83d" for number in range(1000)]
        assert stream.dropped == 0


def test_a_pipe_that_nobody_reads() -> None:
    """Nobody waits; what is too much is dropped, and its number is told in its place."""
    with pipe() as (reading, writing):
        stream = StandardError(writing, most=FILLED)
        for number in range(100_000):
            stream.write(f"{number:09}\n")
        assert not stream.drain(0)
        assert stream.dropped > 10_000
        os.set_blocking(reading, False)
        kept = [os.read(reading, 1000)]
        os.set_blocking(reading, True)
        # Room again: the rest follows, then the number of what was dropped, then what is new.
        dropped = stream.dropped
        notice = f"listrak-bridge: {dropped} lines could not be written here\n"
        kept.append(read_until(reading, notice.encode()))
        stream.write("and on\n")
        kept.append(read_until(reading, b"and on\n"))
        lines = b"".join(kept).decode().splitlines()
        numbers = [f"{number:09}" for number in range(100_000 - dropped)]
        assert lines == [*numbers, notice[:-1], "and on"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF])
def test_what_cannot_be_written(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted, and told as soon as something can be written again; a torn line is ended."""
    written: list[bytes] = []
    broken = [True]

    def write(_descriptor: int, data: memoryview) -> int:
        if broken[0]:
            if not written:
                written.append(bytes(data[:2]))
                return 2
            raise OSError(number, os.strerror(number))
        written.append(bytes(data))
        return len(data)

    monkeypatch.setattr(os, "write", write)
    stream = StandardError(99)
    for line in ("one", "two", "three"):
        stream.write(f"{line}\n")
        assert stream.drain(20)
    assert stream.dropped == 3
    broken[0] = False
    stream.write("four\n")
    assert stream.drain(20)
    notice = "\nlistrak-bridge: 3 lines could not be written here\n"
    assert b"".join(written).decode() == f"on{notice}four\n"
    stream.write("five\n")
    assert stream.drain(20)
    assert written[-1] == b"five\n"


def test_the_end_tells_what_was_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without another line, too."""
    with pipe() as (reading, writing):
        stream = StandardError(writing)
        with monkeypatch.context() as full:
            full.setattr(os, "write", lambda *_: os.close(-1))
            stream.write("lost\n")
            assert stream.drain(20)
        assert stream.drain(20)
        assert read_until(reading, b"here\n").startswith(b"listrak-bridge: 1 lines")


def test_a_descriptor_that_others_made_non_blocking() -> None:
    """It is waited for, in the thread alone."""
    with pipe() as (reading, writing):
        os.set_blocking(writing, False)
        stream = StandardError(writing)
        stream.write("x" * FILLED + "\n")
        assert not stream.drain(0)
        assert len(read_until(reading, b"\n")) == FILLED + 1
        assert stream.drain(20)
        assert not os.get_blocking(writing), "what others have set stays"


def test_a_shared_descriptor_stays_as_it_is() -> None:
    """Others write to it as well: what is set of it would hold for them."""
    with pipe() as (_, writing):
        stream = StandardError(writing)
        stream.write("x\n")
        assert stream.drain(20)
        assert os.get_blocking(writing)


def test_no_secret() -> None:
    """Whoever writes it: this is the last place where one can be hidden."""
    SECRETS.add("hush-hush")
    with pipe() as (reading, writing):
        stream = StandardError(writing)
        stream.write("it was hush-hush\n")
        assert stream.drain(20)
        assert read_until(reading, b"\n") == b"it was [secret]\n"


def test_nothing_written() -> None:
    """Whoever never writes has no thread."""
    before = threading.active_count()
    stream = StandardError(2)
    assert stream.write("") == 0
    assert stream.drain(0)
    stream.flush()
    assert threading.active_count() == before
    assert (stream.fileno(), stream.writable()) == (2, True)


def test_the_end_of_a_process() -> None:
    """All that was written is there, however soon the process ends after it."""
    code = (
        "import sys; from bridge.output.standard_error import take_over; take_over();"
        "print(*range(30_000), sep='\\n', file=sys.stderr); sys.exit(3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 3
    assert done.stderr.decode().split() == [str(number) for number in range(30_000)]
