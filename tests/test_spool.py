"""Requests beside the state file: left whole, taken up in order, never lost."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import clock, spool
from bridge.errors import StateError
from bridge.spool import Invalid, Repair


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "bridge.db"
    path.touch(mode=0o600)
    return path


def test_requests_wait_in_order_until_they_are_done(state: Path) -> None:
    """What was left first comes first; done ones are gone."""
    assert list(spool.waiting(state)) == []
    places = [spool.leave(state, Repair([number])) for number in (3, 1, 2)]
    assert list(spool.waiting(state)) == [
        (place, Repair([number])) for place, number in zip(places, (3, 1, 2), strict=True)
    ]
    assert stat.S_IMODE(places[0].stat().st_mode) == 0o600
    spool.done(places[0])
    spool.done(places[0])
    assert [place for place, _ in spool.waiting(state)] == places[1:]


def test_a_clock_that_stands(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request takes the place of another, and they keep their order."""
    monkeypatch.setattr(clock, "wall_time_ns", lambda: 5)
    for number in (3, 1, 2):
        spool.leave(state, Repair([number]))
    assert [request for _, request in spool.waiting(state)] == [Repair([n]) for n in (3, 1, 2)]


def test_another_state_files_requests_are_not_ours(state: Path) -> None:
    """Two bridges may keep their files in one folder."""
    other = state.with_name("other.db")
    other.touch()
    spool.leave(other, Repair([1]))
    assert list(spool.waiting(state)) == []


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{", b'{"type":"other"}', b'{"type":"repair"}', b"\xff", b'{"type":"\xe1"}'),
        b'{"type":' + b"[" * 5000 + b"]" * 5000 + b"}",
        # What the state file can't hold, or what no start could go on from.
        b'{"type":"repair","messages":[9223372036854775808]}',
        b'{"type":"identify_all","list_id":-1}',
        b'{"type":"backfill","list_id":5,"since":"yesterday"}',
        b'{"type":"backfill","list_id":5,"since":"2026-02-30T00:00:00.000Z"}',
        b'{"type":"backfill","list_id":5,"since":"0001-01-01T00:00:00.000Z"}',
        # It would be found in every text.
        b'{"type":"erase","address":""}',
        b'{"type":"erase","address":" @ "}',
    ],
)
def test_what_is_no_request_is_put_aside(state: Path, text: bytes) -> None:
    """It is kept, with the reason told, and isn't looked at again."""
    place = state.with_name("bridge.db.request-1")
    place.write_bytes(text)
    ((found, request),) = spool.waiting(state)
    assert found == place
    assert isinstance(request, Invalid)
    assert request.reason
    assert "\n" not in request.reason
    assert spool.refuse(place).read_bytes() == text
    assert list(spool.waiting(state)) == []


def test_half_written_ones_are_not_seen(state: Path) -> None:
    """A request appears whole or not at all."""
    state.with_name("bridge.db.request-1.new").write_bytes(b'{"type":"rep')
    assert list(spool.waiting(state)) == []


def test_without_a_state_file(tmp_path: Path) -> None:
    """There is nobody to ask: 73, naming the setting."""
    with pytest.raises(StateError, match=r"can't leave a request beside .*bridge\.db"):
        spool.leave(tmp_path / "bridge.db", Repair([1]))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_left_by_root_it_is_the_services_own(state: Path) -> None:
    """The service's user must be able to read what root asked for."""
    os.chown(state, 4321, 4322)
    found = spool.leave(state, Repair([1])).stat()
    assert (found.st_uid, found.st_gid) == (4321, 4322)


@pytest.mark.parametrize("name", ["bridge[1].db", "*.db", "a?b.db", "a\nb.db"])
def test_a_name_is_no_pattern(tmp_path: Path, name: str) -> None:
    """Whatever is in a state file's name, its requests are found, and no other's."""
    state, other = tmp_path / name, tmp_path / "b.db"
    for one in (state, other):
        one.touch()
    places = [spool.leave(one, Repair([1])) for one in (state, other)]
    assert list(spool.waiting(state)) == [(places[0], Repair([1]))]


def test_a_link_leads_to_the_same_requests(state: Path, tmp_path: Path) -> None:
    """What is left by one name of a file is taken up by whoever knows it by another."""
    link = tmp_path / "links"
    link.mkdir()
    (link / "a.db").symlink_to(state)
    place = spool.leave(link / "a.db", Repair([1]))
    assert list(spool.waiting(state)) == [(place, Repair([1]))]
    assert list(spool.waiting(link / "a.db")) == [(place, Repair([1]))]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda place: place.symlink_to("/dev/zero")])
def test_what_is_no_file_is_put_aside(state: Path, make: Callable[[Path], None]) -> None:
    """It isn't waited for, and not read without end."""
    place = state.with_name("bridge.db.request-1")
    make(place)
    ((_, request),) = spool.waiting(state)
    assert isinstance(request, Invalid)
    spool.refuse(place)
    assert list(spool.waiting(state)) == []


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    """Nothing waits; what can't be put aside is told by its name, 73."""
    assert list(spool.waiting(tmp_path / "gone" / "bridge.db")) == []
    with pytest.raises(StateError, match="request-1"):
        spool.refuse(tmp_path / "gone" / "bridge.db.request-1")
    (tmp_path / "bridge.db.request-1").mkdir()
    with pytest.raises(StateError, match="request-1"):
        spool.done(tmp_path / "bridge.db.request-1")
