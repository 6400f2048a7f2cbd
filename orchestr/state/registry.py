"""Which cell owns which worktree, branch and ports, over the whole workspace.

Owns `registry.json`: read and written under an exclusive flock of its own, replaced by rename.
Leaves whether the worktree is really there to `orchestr.git.worktrees`.

What survives a crash: the file is the old one or the new one. One that cannot be read is set
aside as ``.corrupt-<time>`` and the command fails; until `Registry.rebuild` has made
a new one from ``git worktree list``, every further call fails, too: an empty registry would
hand out branches that are taken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestr.codec import SCHEMA, ExtensibleRecord, InvalidRecord, Record, decode, encode, replace
from orchestr.errors import CorruptState, OrchestrError
from orchestr.files import read_file, set_aside, write_atomic
from orchestr.git.repo import Repo
from orchestr.process.file_lock import FlockLock
from orchestr.state.layout import WorkspaceLayout

ACTIVE = "active"
RELEASED = "released"
_REBUILD = "orchestr doctor --fix"


class ClaimConflict(OrchestrError):
    """The key, branch, path or a port belongs to another; ``owner`` is its entry."""

    def __init__(self, message: str, owner: RegistryEntry, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.owner = owner


class RegistryEntry(ExtensibleRecord, frozen=True):
    """One cell's claim. ``key`` is ``feature/cell``; paths are absolute; ``base`` a commit;
    ``created_at`` ISO-8601 with offset; ``common_dir`` says which repository it is. ``former`` are
    the names that its branch had before, ``former_keys`` the names of the cell itself.
    """

    key: str
    repo: str
    common_dir: str
    path: str
    branch: str
    base: str
    created_at: str
    last_phase: str = ""
    status: str = ACTIVE
    ports: tuple[int, ...] = ()
    former: tuple[str, ...] = ()
    former_keys: tuple[str, ...] = ()

    @property
    def is_active(self) -> bool:
        """Whether it still claims anything."""
        return self.status == ACTIVE


class RegistryFile(Record, frozen=True):
    """`registry.json`. The entries are without their keys. ``branches`` is for people: it is made
    from the entries and never read."""

    schema: int
    entries: dict[str, dict[str, Any]]
    branches: dict[str, str] | None = None


class NewerRegistry(OrchestrError):
    """The registry was written by a version that this one must not write after."""


class Registry:
    """The registry file at ``path``, guarded by ``lock_path``. Cheap to make, holds nothing."""

    def __init__(self, path: Path, lock_path: Path) -> None:
        self.path = path
        self.lock_path = lock_path

    @classmethod
    def of_workspace(cls, layout: WorkspaceLayout) -> Registry:
        """The registry of a workspace."""
        return cls(layout.registry_file, layout.locks_dir / "registry.lock")

    def entries(self) -> list[RegistryEntry]:
        """Every entry, released ones too, by key. Raises CorruptState."""
        return sorted(self._read_entries().values(), key=lambda entry: entry.key)

    def lookup(self, key: str) -> RegistryEntry | None:
        """The entry of a cell, whatever is on the disk. Raises CorruptState."""
        return self._read_entries().get(key)

    def lookup_active(self, key: str) -> RegistryEntry | None:
        """The entry of a cell unless it was released. Raises CorruptState."""
        entry = self.lookup(key)
        return entry if entry is not None and entry.is_active else None

    def reserve(self, entry: RegistryEntry) -> RegistryEntry:
        """Claim branch, path and ports for a cell, all or nothing; returns what is recorded.

        The same claim again changes nothing. Raises ClaimConflict, which names the owner.
        """
        entry = replace(entry, path=str(Path(entry.path).absolute()), status=ACTIVE)
        with self._lock():
            known = self._read_entries(locked=True)
            mine = known.get(entry.key)
            if mine is not None and mine.is_active:
                if (mine.common_dir, mine.path, mine.branch) != (
                    entry.common_dir, entry.path, entry.branch,
                ):  # fmt: skip
                    raise ClaimConflict(
                        f"cell {entry.key} already has branch {mine.branch} at {mine.path}, "
                        f"not {entry.branch} at {entry.path}",
                        mine,
                        hint=f"orchestr clean {_format_goal(mine.key)}",
                    )
                if set(entry.ports) <= set(mine.ports):
                    return mine
                entry = replace(mine, ports=tuple(dict.fromkeys((*mine.ports, *entry.ports))))
            elif mine is not None and mine.common_dir == entry.common_dir:
                names = (*mine.former, mine.branch, *entry.former)
                former = tuple(dict.fromkeys(n for n in names if n != entry.branch))
                entry = replace(entry, former=former, former_keys=mine.former_keys)
            for other in known.values():
                if other.is_active and other.key != entry.key:
                    _refuse_overlap(entry, other)
            self._write_entries({**known, entry.key: entry})
            return entry

    def relocate(self, key: str, path: str, common_dir: str) -> None:
        """Record that a cell's worktree or its clone was moved; an unknown key changes nothing."""
        with self._lock():
            known = self._read_entries(locked=True)
            entry = known.get(key)
            if entry is not None and (entry.path, entry.common_dir) != (path, common_dir):
                moved = replace(entry, path=path, common_dir=common_dir)
                self._write_entries({**known, key: moved})

    def rename_branch(self, key: str, branch: str) -> RegistryEntry | None:
        """The cell's branch has another name; the old one stays among its former names.

        Returns what is recorded, None for an unknown cell. The same again changes nothing. Raises
        ClaimConflict when another cell holds a branch of that name.
        """
        with self._lock():
            known = self._read_entries(locked=True)
            entry = known.get(key)
            if entry is None or entry.branch == branch:
                return entry
            former = tuple(name for name in (*entry.former, entry.branch) if name != branch)
            entry = replace(entry, branch=branch, former=former)
            for other in known.values():
                if other.is_active and other.key != key:
                    _refuse_overlap(entry, other)
            self._write_entries({**known, key: entry})
            return entry

    def rename_key(self, old: str, new: str, path: str) -> RegistryEntry | None:
        """The cell has another name, its worktree is at ``path``; what it claims stays its own.

        Returns what is recorded, None for an unknown cell. The same again changes nothing. Raises
        ClaimConflict when there is a cell of the new name.
        """
        with self._lock():
            known = self._read_entries(locked=True)
            entry, there = known.get(old), known.get(new)
            if entry is None:
                return there
            if there is not None and there.is_active:
                raise ClaimConflict(
                    f"cell {new} has branch {there.branch} at {there.path}", there,
                    hint=f"orchestr clean {_format_goal(new)}",
                )  # fmt: skip
            moved = replace(entry, key=new, path=path, former_keys=(*entry.former_keys, old))
            self._write_entries({**{k: e for k, e in known.items() if k != old}, new: moved})
            return moved

    def touch_phase(self, key: str, phase: str) -> None:
        """Record the latest phase; an unknown key changes nothing."""
        with self._lock():
            known = self._read_entries(locked=True)
            entry = known.get(key)
            if entry is not None and entry.last_phase != phase:
                self._write_entries({**known, key: replace(entry, last_phase=str(phase))})

    def lease_ports(
        self,
        key: str,
        blocks: Sequence[tuple[int, ...]],
        usable: Callable[[tuple[int, ...]], bool],
    ) -> tuple[int, ...] | None:
        """Record the first of ``blocks`` that no cell holds and that is ``usable``, for a cell.

        Ports that the cell holds already are given again. None: all are taken. Raises KeyError
        for a cell that is not active.
        """
        with self._lock():
            known = self._read_entries(locked=True)
            entry = known[key]
            if not entry.is_active:
                raise KeyError(key)
            if entry.ports:
                return entry.ports
            taken = {port for other in known.values() if other.is_active for port in other.ports}
            for ports in blocks:
                if taken.isdisjoint(ports) and usable(ports):
                    self._write_entries({**known, key: replace(entry, ports=ports)})
                    return ports
            return None

    def free_ports(self, key: str) -> tuple[int, ...]:
        """Give a cell's ports back and keep the rest of its claim. Returns those it had."""
        entry = self.lookup_active(key)
        if entry is None or not entry.ports:
            return ()
        with self._lock():
            known = self._read_entries(locked=True)
            entry = known.get(key)
            if entry is None or not entry.ports:
                return ()
            self._write_entries({**known, key: replace(entry, ports=())})
            return entry.ports

    def release(self, key: str) -> RegistryEntry | None:
        """Give branch, path and ports back; the directory stays.

        Returns the entry as it was, None when there was none.
        """
        with self._lock():
            known = self._read_entries(locked=True)
            entry = known.get(key)
            if entry is not None and entry.is_active:
                self._write_entries({**known, key: replace(entry, status=RELEASED, ports=())})
            return entry

    def remove(self, key: str) -> RegistryEntry | None:
        """Forget an entry altogether; the directory stays."""
        with self._lock():
            known = self._read_entries(locked=True)
            entry = known.pop(key, None)
            if entry is not None:
                self._write_entries(known)
            return entry

    def rebuild(self, worktrees: Path, repos: Mapping[str, Repo]) -> list[RegistryEntry]:
        """Make the file anew from ``git worktree list`` of the known repositories.

        What lies at ``<worktrees>/<feature>/<cell>`` on a branch is a cell's. ``repos`` are by
        their names in the spec. Entries that can still be read stay; bases are only known to
        the cells' markers and are left empty. Returns all entries.
        """
        root = worktrees.resolve()
        with self._lock():
            try:
                known = self._read_entries(locked=True)
            except CorruptState:
                known = {}
            for name, repo in sorted(repos.items()):
                common = str(repo.common_dir())
                for tree in repo.list_worktrees():
                    try:
                        parts = tree.path.resolve().relative_to(root).parts
                    except ValueError:
                        continue
                    if len(parts) != 2 or tree.branch is None:
                        continue
                    key = "/".join(parts)
                    if key in known and known[key].is_active:
                        continue
                    stamp = datetime.now(UTC).isoformat(timespec="seconds")
                    path = str(worktrees.absolute().joinpath(*parts))
                    known[key] = RegistryEntry(key, name, common, path, tree.branch, "", stamp)
            self._write_entries(known)
        return sorted(known.values(), key=lambda entry: entry.key)

    # --- the file --------------------------------------------------------------------------

    def _lock(self) -> FlockLock:
        return FlockLock(self.lock_path)

    def _read_entries(self, *, locked: bool = False) -> dict[str, RegistryEntry]:
        try:
            return self._decode_entries(read_file(self.path))
        except FileNotFoundError:
            left = sorted(self.path.parent.glob(f"{self.path.name}.corrupt-*"))
            if left:
                raise CorruptState(
                    f"the registry was corrupt and is kept as {left[-1]}", hint=_REBUILD
                ) from None
            return {}
        except ValueError as error:
            if not locked:
                # Only under the lock may a file be moved: a writer may have replaced it by now.
                with self._lock():
                    return self._read_entries(locked=True)
            problem = set_aside(self.path, str(error))
            raise CorruptState(problem.message, hint=_REBUILD) from error

    def _write_entries(self, entries: Mapping[str, RegistryEntry]) -> None:
        branches = {
            f"{entry.common_dir}:{entry.branch}": key
            for key, entry in sorted(entries.items())
            if entry.is_active
        }
        rows = {key: _encode_entry(entries[key]) for key in sorted(entries)}
        value = encode(RegistryFile(SCHEMA, rows, branches))
        write_atomic(self.path, (json.dumps(value, indent=2) + "\n").encode())

    def _decode_entries(self, data: bytes) -> dict[str, RegistryEntry]:
        file = decode(json.loads(data), RegistryFile)
        if file.schema > SCHEMA:
            raise NewerRegistry(
                f"{self.path} was written by a newer orchestr: schema {file.schema}, "
                f"this version knows {SCHEMA}",
                hint="use that version in this workspace",
            )
        return {key: _decode_entry(key, row) for key, row in file.entries.items()}


def _refuse_overlap(entry: RegistryEntry, other: RegistryEntry) -> None:
    hint = f"orchestr clean {_format_goal(other.key)}, or choose another branch for {entry.key}"
    if (other.common_dir, other.branch) == (entry.common_dir, entry.branch):
        raise ClaimConflict(
            f"branch {entry.branch} of {entry.repo} belongs to cell {other.key} ({other.path})",
            other, hint=hint,
        )  # fmt: skip
    if other.path == entry.path:
        raise ClaimConflict(f"{entry.path} belongs to cell {other.key}", other, hint=hint)
    shared = set(entry.ports) & set(other.ports)
    if shared:
        raise ClaimConflict(f"port {min(shared)} belongs to cell {other.key}", other, hint=hint)


def _format_goal(key: str) -> str:
    return key.replace("/", ":")


def _encode_entry(entry: RegistryEntry) -> dict[str, Any]:
    row = encode(entry)
    del row["key"]
    for name in ("former", "former_keys"):
        if not row[name]:
            del row[name]
    return row


def _decode_entry(key: str, row: dict[str, Any]) -> RegistryEntry:
    try:
        return decode({**row, "key": key}, RegistryEntry)
    except InvalidRecord as error:
        raise InvalidRecord(f"cell {key}: {error}") from error
