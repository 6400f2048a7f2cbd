"""Packs a workspace into one small archive, and unpacks it in any folder as if made there.

A workspace knows where it lies: git's worktrees, the registry, logs, and a few digests and
checksums that a path entered. So packing replaces the workspace's path by `PLACE` in every text,
and notes in `house.json`, inside of the archive, of what the digests with a path in them were made
(`Digest`).
Unpacking puts the new path in and makes those digests again, in texts and in names: byte for byte
what the version that made the workspace would have written there. (But for the cache of checks
whose command names a path: it is not found, they run again, no agent does.) A workspace that is
only moved is another matter: 0.1.0 makes `worktree` again for a repository with `path` in the
settings.

Besides: the pictures of clones (`surroundings/`) hold git's config in base64, which is opened;
`.doit.db` travels as SQL text (a binary file cannot be edited); the pids of what held a
lock or supervised an agent become ones that no process has; this machine's name becomes the name of
the machine that unpacks, so that a dead holder stays one of "this host". Times of files are kept.
No product code is called from here.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import socket
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

PLACE = "@@HOUSE@@"
HOST = "@@HOST@@"
NOTES = "house.json"
DATABASE, SQL = ".doit.db", ".doit.db.sql"
NO_PID = 4_194_999  # above the largest pid of Linux
_PIDS = re.compile(rb'("(?:agent_)?pid": ?)\d+')
_SEALED = re.compile(rb"([0-9a-f]{64}) ([0-9a-f]{64})\n")  # key, checksum of all that follows
SKIPPED = {"__pycache__", ".pytest_cache", "FETCH_HEAD"}  # the last: where a fetch came from


@dataclass(frozen=True)
class Digest:
    """``value`` is the beginning of the sha256 of ``text``, which holds `PLACE`."""

    value: str
    text: str

    def at(self, place: str) -> str:
        """What it is in another folder."""
        full = hashlib.sha256(self.text.replace(PLACE, place).encode()).hexdigest()
        return full[: len(self.value)]


def pack(root: Path, target: Path, digests: Iterable[Digest] = ()) -> None:
    """Pack the workspace ``root``, in which nothing may run."""
    place = str(root)
    known = list(digests)
    wrong = [one for one in known if one.at(place) != one.value]
    assert not wrong, wrong
    for repo in repositories(root):
        command = ["git", "-C", str(repo), "repack", "-a", "-d", "-q", "--depth=50"]
        subprocess.run(command, check=True)
    notes = json.dumps({"digests": [asdict(one) for one in known]}, indent=1)
    with tarfile.open(target, "w:xz", preset=9) as tar:
        _add(tar, tarfile.TarInfo(NOTES), notes.encode())
        for path in walk(root):
            name = str(path.relative_to(root))
            if name.startswith(f"{DATABASE}-"):
                continue  # the side files of sqlite; `_sql` reads through them
            stat = path.lstat()
            info = tarfile.TarInfo(SQL if name == DATABASE else name)
            info.mtime, info.mode = stat.st_mtime, stat.st_mode & 0o777
            if path.is_symlink():
                info.type = tarfile.SYMTYPE
                info.linkname = str(path.readlink()).replace(place, PLACE)
                tar.addfile(info)
            elif path.is_dir():
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                data = _sql(path) if name == DATABASE else path.read_bytes()
                _add(tar, info, _packed(name, data, place))


def unpack(archive: Path, root: Path) -> None:
    """Unpack into ``root``, which must not be there. Its path must be absolute."""
    root.mkdir(parents=True)
    place, host = str(root), socket.gethostname()
    folders: list[tuple[Path, float]] = []
    with tarfile.open(archive) as tar:
        stream = tar.extractfile(NOTES)
        assert stream is not None
        digests = [Digest(**one) for one in json.load(stream)["digests"]]
        new = {one.value: one.at(place) for one in digests}
        for info in tar:
            if info.name == NOTES:
                continue
            path = root / _replaced(info.name.encode(), new).decode()
            if info.isdir():
                path.mkdir(mode=info.mode | 0o700, parents=True, exist_ok=True)
                folders.append((path, info.mtime))
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if info.issym():
                path.symlink_to(info.linkname.replace(PLACE, place))
                continue
            stream = tar.extractfile(info)
            assert stream is not None
            data = stream.read()
            if not _binary(data):
                sealed = _is_sealed(data)
                data = _replaced(data, new)
                data = data.replace(PLACE.encode(), place.encode())
                data = _picture(data, info.name, PLACE, place)
                data = data.replace(HOST.encode(), host.encode())
                data = _seal(data) if sealed else data
            if path.name == SQL:
                path = path.with_name(DATABASE)
                _restore(path, data.decode())
            else:
                path.write_bytes(data)
            path.chmod(info.mode)
            os.utime(path, (info.mtime, info.mtime))
    for path, mtime in reversed(folders):
        os.utime(path, (mtime, mtime))


def repositories(root: Path) -> Iterator[Path]:
    """Every repository of its own below a workspace: those with a folder of objects."""
    for path in walk(root):
        if path.name == "objects" and path.is_dir() and (path.parent / "HEAD").exists():
            yield path.parent


def walk(root: Path) -> Iterator[Path]:
    """All that lies below a folder, sorted; links are not followed."""
    for path in sorted(root.iterdir()):
        if path.name in SKIPPED:
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from walk(path)


def _packed(name: str, data: bytes, place: str) -> bytes:
    if _binary(data):
        assert place.encode() not in data, f"{name} is binary and knows {place}"
        return data
    sealed = _is_sealed(data)
    data = _picture(data.replace(place.encode(), PLACE.encode()), name, place, PLACE)
    host = json.dumps(socket.gethostname())
    data = data.replace(f'"host": {host}'.encode(), f'"host": "{HOST}"'.encode())
    if name.endswith((".lock", "supervisor.json")):
        data = _PIDS.sub(rb"\g<1>%d" % NO_PID, data)
    return _seal(data) if sealed else data


def _picture(data: bytes, name: str, old: str, new: str) -> bytes:
    """The picture of a clone with another path in the config that it holds."""
    if Path(name).parent.name != "surroundings":
        return data
    value = json.loads(data)
    config = base64.b64decode(value["config"]).replace(old.encode(), new.encode())
    value["config"] = base64.b64encode(config).decode()
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _binary(data: bytes) -> bool:
    return b"\0" in data


def _replaced(data: bytes, new: dict[str, str]) -> bytes:
    for old, value in new.items():
        data = data.replace(old.encode(), value.encode())
    return data


def _is_sealed(data: bytes) -> bool:
    """Whether a file (a cache) begins with the checksum of the rest."""
    found = _SEALED.match(data)
    return found is not None and _sum(data[found.end() :]) == found[2]


def _seal(data: bytes) -> bytes:
    head, _, body = data.partition(b"\n")
    return head[:65] + _sum(body) + b"\n" + body


def _sum(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _add(tar: tarfile.TarFile, info: tarfile.TarInfo, data: bytes) -> None:
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _sql(path: Path) -> bytes:
    connection = sqlite3.connect(path)
    try:
        return "\n".join(connection.iterdump()).encode()
    finally:
        connection.close()


def _restore(path: Path, sql: str) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.executescript(sql)
        connection.commit()
    finally:
        connection.close()
