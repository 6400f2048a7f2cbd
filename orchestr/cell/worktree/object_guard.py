"""Objects of a clone after agents, checks or reviewers: what they took away is put back.

Nothing else removes an object that git could find: a person's `git gc` moves loose ones into a new
pack. So one that is gone counts as lost only when git does not find it any more. What a gc prunes
besides (it is unreachable, and two weeks old) is put back, too, with a warning alone.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestr.cell.worktree.object_keep import (
    ARCHIVE,
    LEFT,
    LINKED,
    LINKS,
    KeptStore,
    is_data_intact,
    is_loose_intact,
    is_part_intact,
    list_loose,
    list_packs,
    locate_loose,
    read_index,
)
from orchestr.errors import OrchestrError
from orchestr.files import write_atomic
from orchestr.git.missing_objects import NO_LAZY_FETCH, find_missing_objects
from orchestr.git.repo import Repo
from orchestr.git.trace import GitCommand

PRUNING = frozenset({"gc", "prune", "repack", "prune-packed", "maintenance"})
ASKED = 100_000  # objects of a pack that is gone; of more, every second or third is asked for
NOT_KEPT = (
    "which objects {objects} had is not known any more: {index} was removed or changed; "
    "git --git-dir={git_dir} fsck --full names what is missing"
)


@dataclass(slots=True)
class StoreLoss:
    """What one git folder lost. ``packs`` are names of parts; ``is_pruned``: a gc took it.
    ``links`` is the folder with the links that are kept of it."""

    git_dir: Path
    kept: KeptStore
    links: Path
    removed: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)
    packs: list[str] = field(default_factory=list)
    is_pruned: bool = False


@dataclass(slots=True)
class ObjectLosses:
    """What a clone lost; ``found`` says so before anything is put back."""

    folder: Path
    losses: list[StoreLoss] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def found(self) -> list[str]:
        """The harm, in words."""
        texts = [_describe_loss(loss) for loss in self.losses if not loss.is_pruned]
        return [*self.unknown, *texts]

    def put_back(self) -> tuple[list[str], list[str]]:
        """Bring back what is kept. What is harm, and what is only for a warning, in words."""
        harm, warnings = list(self.unknown), list[str]()
        for loss in self.losses:
            left = _restore_store(self.folder / ARCHIVE, loss)
            text = f"{_describe_loss(loss)}; {_describe_outcome(loss, left)}"
            (warnings if loss.is_pruned else harm).append(text)
        return harm, warnings


def find_lost_objects(
    folder: Path, common: Path, commands: Sequence[GitCommand], *, was_kept: bool
) -> ObjectLosses:
    """Compare the clone ``common`` with what ``folder`` keeps of it. Changes nothing.

    ``commands`` are what the git of those did who are compared; ``was_kept``: whether something
    was kept at all.
    """
    found = ObjectLosses(folder)
    if not was_kept:
        return found
    stores = read_index(folder)
    if stores is None:
        text = NOT_KEPT.format(objects=common / "objects", index=folder, git_dir=common)
        found.unknown.append(text)
        return found
    own = any(command.name in PRUNING for command in commands)
    for name, kept in stores.items():
        loss = _compare_store(common / name, kept, folder / LINKS / name, own)
        if loss.removed or loss.overwritten or loss.packs:
            found.losses.append(loss)
    return found


def _compare_store(git_dir: Path, kept: KeptStore, links: Path, own: bool) -> StoreLoss:
    objects = git_dir / "objects"
    now, packs = dict(list_loose(objects)), list_packs(objects)
    gone = [name for name in kept.loose if name not in now]
    bad = [
        name for name in kept.loose
        if name in now and now[name].st_ctime_ns >= kept.stamp
        and not is_loose_intact(locate_loose(objects, name), name)
    ]  # fmt: skip
    parts = [
        name for name, was in kept.packs.items()
        if name in packs and packs[name].st_ctime_ns >= kept.stamp
        and not is_part_intact(objects / "pack" / name, name, was)
    ]  # fmt: skip
    whole = {Path(name).stem for name in packs if name.endswith(".pack")}
    whole &= {Path(name).stem for name in packs if name.endswith(".idx")}
    absent = [name for name in kept.packs if name not in packs]
    # Of a pack that is there, a part that is gone is missed; of one that is gone, its objects are.
    parts += [name for name in absent if Path(name).stem in whole]
    stems = sorted({Path(name).stem for name in absent} - whole)
    held = {stem: _read_pack_names(links / "pack" / f"{stem}.idx") for stem in stems}
    lost = _find_lost(git_dir, [*gone, *(name for names in held.values() for name in names)])
    for stem, names in held.items():
        if not names or any(name in lost for name in names):
            parts += [name for name in absent if Path(name).stem == stem]
    removed = [name for name in gone if name in lost]
    is_new = any(name.endswith(".pack") and name not in kept.packs for name in packs)
    is_packed = is_new and len(removed) < len(gone)
    pruned = is_packed and not own and not bad and not parts
    return StoreLoss(git_dir, kept, links, removed, bad, parts, pruned)


def _find_lost(git_dir: Path, names: Iterable[str]) -> set[str]:
    """Those of the objects that git does not find; all of them where it cannot be asked."""
    asked = set(names)
    env = {"GIT_DIR": str(git_dir), **NO_LAZY_FETCH}
    try:
        return find_missing_objects(Repo(git_dir), asked, env)
    except OrchestrError:
        return asked


def _read_pack_names(index: Path) -> list[str]:
    """The objects of a pack by its index (version 2); none where that cannot be read."""
    length = len(index.stem.removeprefix("pack-")) // 2
    names = 8 + 256 * 4
    try:
        with index.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as data:
            if data[:4] != b"\xfftOc":
                return []
            count = int.from_bytes(data[names - 4 : names], "big")
            step = max(1, -(-count // ASKED))
            places = range(names, names + count * length, step * length)
            return [data[at : at + length].hex() for at in places]
    except (OSError, ValueError):
        return []


def _restore_store(archive: Path, loss: StoreLoss) -> list[str]:
    """Put back what is kept; what could not be."""
    objects, links = loss.git_dir / "objects", loss.links
    left = []
    for name in (*loss.removed, *loss.overwritten):
        path, (at, size) = locate_loose(objects, name), loss.kept.loose[name]
        with suppress(OSError):
            _clear_place(path)
            if at == LINKED and is_loose_intact(links / name, name):
                os.link(links / name, path)
            elif at not in (LINKED, LEFT):
                data = _read_copy(archive, at, size)
                if is_data_intact(data, name):
                    write_atomic(path, data, mode=0o444)
        if not is_loose_intact(path, name):
            left.append(name)
    for name in sorted(loss.packs, key=lambda name: name.endswith(".idx")):  # git looks for these
        kept, path = links / "pack" / name, objects / "pack" / name
        if is_part_intact(kept, name, loss.kept.packs[name]):
            with suppress(OSError):
                _clear_place(path)
                os.link(kept, path)
        if not is_part_intact(path, name, loss.kept.packs[name]):
            left.append(name)
    return left


def _clear_place(path: Path) -> None:
    """Make a folder for a file that is to be put back, and take away what is in its place."""
    folder = path.parent
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(folder.stat().st_mode | 0o700)
    if path.is_dir() and not path.is_symlink():
        path.rename(path.with_name(f"{path.name}.orchestr"))
    path.unlink(missing_ok=True)


def _read_copy(archive: Path, at: int, size: int) -> bytes:
    with archive.open("rb") as stream:
        stream.seek(at)
        return stream.read(size)


def _describe_loss(loss: StoreLoss) -> str:
    """What was lost, for people."""
    texts = [
        *_count_objects(len(loss.removed), "loose object", "removed"),
        *_count_objects(len(loss.overwritten), "loose object", "overwritten"),
    ]
    if loss.packs:
        more = f" and {len(loss.packs) - 3} more" if len(loss.packs) > 3 else ""
        texts.append(f"{', '.join(sorted(loss.packs)[:3])}{more} removed or overwritten")
    who = " by a git gc that was not its agent's" if loss.is_pruned else ""
    return f"objects of {loss.git_dir} were taken away{who} ({'; '.join(texts)})"


def _count_objects(number: int, what: str, done: str) -> list[str]:
    return [f"{number} {what}{'' if number == 1 else 's'} {done}"] if number else []


def _describe_outcome(loss: StoreLoss, left: Sequence[str]) -> str:
    if not left:
        return "all were put back"
    shown = ", ".join(name[:24] for name in left[:3])
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    return (
        f"{shown}{more} could not be put back, the rest was: "
        f"git --git-dir={loss.git_dir} fsck --full names what needs them"
    )
