"""The objects of a clone that agents, checks and reviewers may not take away: kept meanwhile.

A commit of an agent adds loose objects, so it can remove those of others, and a person's unpushed
commits are nowhere else. Loose objects are copied one after the other into one file, which is
cheaper than a link for each and survives who writes into them; large ones, and packs, are linked.
All of it lies beside the clone's picture (`KEY.objects/`) as long as that does.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from orchestr.cell.worktree.clone_files import list_git_dirs
from orchestr.cell.worktree.picture_memory import forget_picture, read_picture, write_picture

INDEX, ARCHIVE, LINKS = "index.json", "loose", "links"
COPIED = 1 << 18  # bytes of a loose object that is copied; a larger one is linked
ROOM = 1 << 26  # bytes of all copies; further ones are linked
CHECKED = 1 << 26  # bytes of a pack whose content is read; of a larger one, size and end are
PIECE = 1 << 20  # bytes that are read or inflated at once
LINKED, LEFT = -1, -2  # in place of an offset: kept as a link; not kept
# Parts of a pack that git never writes again; `.bitmap` and `.keep` come and go.
PARTS = (".pack", ".idx", ".rev", ".mtimes", ".promisor")
_FAN, _REST = re.compile(r"[0-9a-f]{2}"), re.compile(r"[0-9a-f]{38}|[0-9a-f]{62}")
_PACK = re.compile(r"pack-[0-9a-f]{40}(?:[0-9a-f]{24})?\.[a-z]+")


@dataclass(frozen=True, slots=True)
class KeptStore:
    """The objects of a clone, or of a submodule in it, as they were.

    ``loose`` has the place of each in the copies, as offset and length; ``packs`` size and last
    bytes of each part. What has another time of change than up to ``stamp`` is looked into.
    """

    stamp: int
    loose: Mapping[str, tuple[int, int]]
    packs: Mapping[str, tuple[int, str]]


def keep_objects(folder: Path, common: Path, *, extend: bool) -> None:
    """Keep the objects of the clone ``common`` in ``folder``; ``extend``: what came since then, in
    addition to what is kept."""
    old = read_index(folder) if extend else None
    if old is None:
        drop_objects(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stores = dict(old or {})
    with (folder / ARCHIVE).open("ab") as archive:
        for name, git_dir in list_git_dirs(common).items():
            kept = stores.get(name) or KeptStore(0, {}, {})
            links = folder / LINKS / name
            loose, newest = _keep_loose(git_dir / "objects", kept, archive, links)
            packs, last = _keep_packs(git_dir / "objects", kept, links)
            # In a picture of others, what is newer than it is always looked into.
            stamp = kept.stamp or max(newest, last)
            stores[name] = KeptStore(stamp, {**kept.loose, **loose}, {**kept.packs, **packs})
    rows = {name: _encode_store(store) for name, store in stores.items()}
    write_picture(folder / INDEX, {"schema": 1, "stores": rows}, starts="*")


def drop_objects(folder: Path) -> None:
    """Remove what is kept."""
    shutil.rmtree(folder, ignore_errors=True)
    forget_picture(folder / INDEX)


def read_index(folder: Path) -> dict[str, KeptStore] | None:
    """What is kept, by the name of the git folder; None when that is not known."""
    raw: Any = read_picture(folder / INDEX)
    try:
        return {name: _decode_store(row) for name, row in raw["stores"].items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def list_loose(objects: Path) -> Iterator[tuple[str, os.stat_result]]:
    """The loose objects below ``objects``, each with its state."""
    with suppress(OSError), os.scandir(objects) as fans:
        for fan in fans:
            if not _FAN.fullmatch(fan.name) or not fan.is_dir(follow_symlinks=False):
                continue
            with suppress(OSError), os.scandir(fan.path) as entries:
                for entry in entries:
                    with suppress(OSError):
                        if _REST.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                            yield fan.name + entry.name, entry.stat(follow_symlinks=False)


def list_packs(objects: Path) -> dict[str, os.stat_result]:
    """The parts of the packs below ``objects``, each with its state."""
    found = {}
    with suppress(OSError), os.scandir(objects / "pack") as entries:
        for entry in entries:
            if _PACK.fullmatch(entry.name) and entry.name.endswith(PARTS):
                with suppress(OSError):
                    found[entry.name] = entry.stat(follow_symlinks=False)
    return found


def locate_loose(objects: Path, name: str) -> Path:
    """The file of a loose object."""
    return objects / name[:2] / name[2:]


def is_loose_intact(path: Path, name: str) -> bool:
    """Whether the file at ``path`` holds the object ``name``."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as stream:
            return _hash_inflated(stream, len(name)) == name
    except (OSError, zlib.error):
        return False


def is_data_intact(data: bytes, name: str) -> bool:
    """The same of what was in such a file."""
    try:
        return _hash_inflated(io.BytesIO(data), len(name)) == name
    except zlib.error:
        return False


def is_part_intact(path: Path, name: str, was: tuple[int, str]) -> bool:
    """Whether a part of a pack is what it was; it ends with the hash of all that is before."""
    size, end = was
    try:
        if path.lstat().st_size != size or _read_end(path, name) != end:
            return False
        if not end or size > CHECKED:
            return True
        data = path.read_bytes()
    except OSError:
        return False
    found = _start_hash(len(end))
    found.update(data[: -len(end) // 2])
    return bool(found.hexdigest() == end)


def _keep_loose(
    objects: Path, kept: KeptStore, archive: BinaryIO, links: Path
) -> tuple[dict[str, tuple[int, int]], int]:
    """Where each object is kept that was not yet, and the newest time of change."""
    found: dict[str, tuple[int, int]] = {}
    newest = 0
    for name, state in list_loose(objects):
        changed = state.st_ctime_ns
        if name not in kept.loose:
            path, at = f"{objects}/{name[:2]}/{name[2:]}", archive.tell()
            data = _read_small(path, state, at)
            if data is not None:
                archive.write(data)
                found[name] = (at, len(data))
            else:
                is_linked = _link_file(Path(path), links / name)
                found[name] = (LINKED if is_linked else LEFT, state.st_size)
                with suppress(OSError):
                    changed = os.lstat(path).st_ctime_ns
        newest = max(newest, changed)
    return found, newest


def _keep_packs(
    objects: Path, kept: KeptStore, links: Path
) -> tuple[dict[str, tuple[int, str]], int]:
    found: dict[str, tuple[int, str]] = {}
    newest = 0
    for name, state in list_packs(objects).items():
        path = objects / "pack" / name
        with suppress(OSError):
            if name not in kept.packs:
                _link_file(path, links / "pack" / name)
                found[name] = (state.st_size, _read_end(path, name))
            newest = max(newest, path.lstat().st_ctime_ns)
    return found, newest


def _read_small(path: str, state: os.stat_result, at: int) -> bytes | None:
    """The content of an object that is copied; None for one that is too large, or for none."""
    if state.st_size > COPIED or at + state.st_size > ROOM:
        return None
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return os.read(fd, COPIED)
        finally:
            os.close(fd)
    except OSError:
        return None


def _link_file(path: Path, place: Path) -> bool:
    """Another name for a file; not on another file system, and not where the file's owner is
    another user."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.unlink(missing_ok=True)
        os.link(path, place, follow_symlinks=False)
    except OSError:
        return False
    return True


def _read_end(path: Path, name: str) -> str:
    """The hash at the end of a part; empty where it has none."""
    if name.endswith(".promisor"):
        return ""
    length = len(name.partition(".")[0].removeprefix("pack-")) // 2
    with path.open("rb") as stream:
        stream.seek(-min(length, path.lstat().st_size), os.SEEK_END)
        return stream.read(length).hex()


def _hash_inflated(stream: BinaryIO, length: int) -> str:
    """The hash of what is compressed in ``stream``, a piece at a time: it may be anything."""
    found, inflate = _start_hash(length), zlib.decompressobj()
    while data := inflate.unconsumed_tail or stream.read(PIECE):
        found.update(inflate.decompress(data, PIECE))
    found.update(inflate.flush())
    return str(found.hexdigest())


def _start_hash(length: int) -> Any:
    """The hash whose name has ``length`` digits."""
    return hashlib.sha256() if length == 64 else hashlib.sha1(usedforsecurity=False)


def _encode_store(store: KeptStore) -> dict[str, Any]:
    loose = " ".join(f"{name} {at} {size}" for name, (at, size) in store.loose.items())
    return {"stamp": store.stamp, "loose": loose, "packs": dict(store.packs)}


def _decode_store(row: Mapping[str, Any]) -> KeptStore:
    words = iter(str(row["loose"]).split())
    loose = {name: (int(at), int(size)) for name, at, size in zip(words, words, words, strict=True)}
    packs = {str(name): (int(size), str(end)) for name, (size, end) in row["packs"].items()}
    return KeptStore(int(row["stamp"]), loose, packs)
