"""The place of a state file: what BRIDGE_STATE names is a regular file of ours, or nothing yet.

All else is refused before it is opened, as opening alone may hang (a FIFO) or change something. So
is what stands beside it under the names that belong to it.
"""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bridge.errors import StateError

BESIDE: Final = ("-wal", "-shm", "-journal", ".lock", ".new")
"""The ends of the names of files beside it, but for requests."""

NETWORK: Final = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fuse.ceph",
        "fuse.cifs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb3",
        "smbfs",
        "vboxsf",
    }
)
"""File systems of other machines, by their names in /proc/self/mountinfo."""

PASSING: Final = frozenset({"devtmpfs", "ramfs", "tmpfs"})
"""File systems whose files are gone when the machine restarts."""

NO_FILES: Final = frozenset(
    {
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "efivarfs",
        "fusectl",
        "mqueue",
        "proc",
        "pstore",
        "securityfs",
        "sysfs",
        "tracefs",
    }
)
"""File systems that keep nothing."""

_LONGEST_END: Final = len(".request-1234567890123456789.refused")
_MOST_NAME: Final = 255
_KINDS: Final = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link",
}
_MOUNTS: Final = Path("/proc/self/mountinfo")


def real_of(path: Path) -> Path:
    """The file behind links: what is beside a link isn't what is beside it.

    Raises StateError where a link leads to nothing, and for a name that can't be one.
    """
    try:
        real = path.resolve()
        if path.is_symlink() and not os.path.lexists(real):
            raise _refused(
                path, f"is a link to {str(real)!r}, which isn't there. Put that back, or name it"
            )
    except RuntimeError:
        raise _refused(path, "is a link that leads back to itself") from None
    except OSError as error:
        raise _refused(path, f"can't be looked at: {error.strerror}") from None
    return real


def require(path: Path, *, to_write: bool = False) -> Path:
    """The real path of a state file, or of one that may be made. Changes and opens nothing.

    Raises StateError for what is no regular file of this user's. Root may read others' files.
    """
    real = real_of(path)
    if len(os.fsencode(real.name)) > _MOST_NAME - _LONGEST_END:
        raise _refused(path, "has a name that is too long: longer ones stand beside it")
    if not real.name:
        raise _refused(path, "is a folder. Name a file")
    found = _look(real)
    if found is not None:
        _require_ours(path, found, to_write=to_write)
        if to_write and not os.access(real.parent, os.W_OK | os.X_OK):
            raise _refused(path, "is in a folder that can't be written; others stand beside it")
    if file_system_of(real) in NO_FILES:
        raise _refused(path, "is no place for files. Name another one")
    for end in BESIDE:
        beside = real.with_name(f"{real.name}{end}")
        kind = _look(beside, follow=False)
        if kind is not None and not stat.S_ISREG(kind.st_mode):
            raise _refused(beside, f"is {_kind(kind)}, where a file of the state file's stands")
    return real


def file_system_of(path: Path) -> str:
    """The name of the file system where a file is or would be made; "" where that isn't known."""
    for one in (path, path.parent):
        try:
            device = one.stat().st_dev
        except OSError:
            continue
        try:
            lines = _MOUNTS.read_bytes().splitlines()
        except OSError:
            return ""
        return kind_of_device(lines, os.major(device), os.minor(device))
    return ""


def kind_of_device(mounts: Iterable[bytes], major: int, minor: int) -> str:
    """The name of a device's file system by the lines of mountinfo; "" where they don't tell."""
    for line in mounts:
        fields, _, source = line.partition(b" - ")
        if fields.split(b" ")[2:3] == [b"%d:%d" % (major, minor)]:
            return source.split(b" ")[0].decode("ascii", "replace")
    return ""


def doubt(path: Path) -> str:
    """The reason why a place is a bad one for a state file, though it can be used; "" for none."""
    kind = file_system_of(path)
    if kind in NETWORK:
        return (
            f"it is on a network file system ({kind}), on which SQLite's -wal is not safe: put it "
            "on a disk of this machine"
        )
    if kind in PASSING:
        return f"it is on a {kind}, which is empty after a restart of this machine"
    return ""


def _require_ours(path: Path, found: os.stat_result, *, to_write: bool) -> None:
    user = os.geteuid()
    if not stat.S_ISREG(found.st_mode):
        raise _refused(path, f"is {_kind(found)}, no file. Name a file")
    if found.st_uid != user and (to_write or user != 0):
        raise _refused(
            path,
            f"belongs to another user (uid {found.st_uid}; this is {user}). Run this as that one, "
            "or give the file, and what stands beside it, to this one",
        )
    if found.st_nlink > 1:
        raise _refused(
            path,
            f"has {found.st_nlink} names (hard links). Under each of them other files would stand "
            "beside it: remove the others, `find -samefile` shows them. For a backup copy it",
        )
    if to_write and not found.st_mode & stat.S_IWUSR:
        raise _refused(path, "is read-only. Make it writable (chmod 600), or name another one")


def _look(path: Path, *, follow: bool = True) -> os.stat_result | None:
    """The facts about what is at a path, None for nothing."""
    try:
        return path.stat(follow_symlinks=follow)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise _refused(path, f"can't be looked at: {error.strerror}") from None


def _kind(found: os.stat_result) -> str:
    return _KINDS.get(stat.S_IFMT(found.st_mode), "something else")


def _refused(path: Path, problem: str) -> StateError:
    return StateError(f"BRIDGE_STATE: {str(path)!r} {problem}")
