"""Which blocks of ports the workspaces of this user hold on this host, each with its owner.

Each workspace has a registry of its own and they do not know each other, so before a block is
leased it is claimed here: `ports-HOST.json` in the user's state folder, read and written under a
flock. Within a workspace its own registry decides; a claim is only for the others.

Survives a crash: a claim counts while its run, by pid and create time, or its cell's agent lives,
or a run holds its feature; any other is passed over and written away by the next who claims. A
folder that cannot be written claims nothing: what listens already is found by binding all the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestr.codec import SCHEMA, InvalidRecord, Record, decode, encode
from orchestr.errors import OrchestrError
from orchestr.files import read_file, write_atomic
from orchestr.process.file_lock import FlockLock
from orchestr.process.lease import read_lease
from orchestr.process.tree import is_process_alive, read_create_time
from orchestr.state import attempts
from orchestr.state.host_turn import host_file
from orchestr.supervisor import client

PATIENCE = 10.0  # s for the lock, which is held for as long as a small file is written


class PortClaim(Record, frozen=True):
    """Some ports of one cell. ``cell_dir`` is its record, ``lease`` the file of its feature's
    lease; ``create_time`` (`read_create_time`) of the process ``pid``."""

    ports: tuple[int, ...]
    cell_dir: str
    lease: str
    pid: int
    create_time: float

    @property
    def is_in_force(self) -> bool:
        """Whether its owner may still use the ports."""
        if is_process_alive(self.pid, self.create_time) or is_agent_running(Path(self.cell_dir)):
            return True
        return Path(self.lease).is_file() and read_lease(Path(self.lease)) is not None


class PortFile(Record, frozen=True):
    """`ports-HOST.json`."""

    schema: int
    claims: tuple[PortClaim, ...] = ()


@dataclass(frozen=True, slots=True)
class PortOwner:
    """A cell, for the other workspaces: its folder, the lease of its feature, its workspace."""

    cell_dir: Path
    lease: Path
    state: Path

    def claim_ports(self, ports: Sequence[int]) -> bool:
        """Claim ports; False when another workspace holds one of them. The same again is fine."""
        try:
            with FlockLock(_lock_file(), timeout=PATIENCE):
                claims = [claim for claim in _read_claims() if claim.is_in_force]
                if any(self._is_foreign(c) and not set(ports).isdisjoint(c.ports) for c in claims):
                    return False
                me = os.getpid()
                mine = PortClaim(tuple(ports), str(self.cell_dir), str(self.lease), me,
                                 read_create_time(me) or 0.0)  # fmt: skip
                _write_claims([*(c for c in claims if c.cell_dir != mine.cell_dir), mine])
        except (OrchestrError, OSError):
            return True
        return True

    def release_ports(self) -> None:
        """Give back what the cell holds."""
        with suppress(OrchestrError, OSError), FlockLock(_lock_file(), timeout=PATIENCE):
            claims = _read_claims()
            left = [claim for claim in claims if claim.cell_dir != str(self.cell_dir)]
            if len(left) != len(claims):
                _write_claims(left)

    def is_held_elsewhere(self, ports: Collection[int]) -> bool:
        """Whether a cell of another workspace holds one of these ports."""
        return any(
            self._is_foreign(claim) and not set(ports).isdisjoint(claim.ports) and claim.is_in_force
            for claim in _read_claims()
        )

    def _is_foreign(self, claim: PortClaim) -> bool:
        return not Path(claim.cell_dir).is_relative_to(self.state)


def is_agent_running(cell_dir: Path) -> bool:
    """Whether the agent of a cell's newest attempt lives, with a run or without."""
    with suppress(OrchestrError, OSError):
        newest = attempts.newest_attempt(cell_dir)
        if newest is not None and newest.is_open:
            folder = attempts.attempt_folder(cell_dir, newest.number)
            return client.read_attempt_state(folder) is client.AttemptState.RUNNING
    return False


def _claims_file() -> Path:
    return host_file("ports", ".json")


def _lock_file() -> Path:
    return _claims_file().with_suffix(".lock")


def _read_claims() -> tuple[PortClaim, ...]:
    """A file that cannot be read claims nothing; the next claim replaces it."""
    try:
        return decode(json.loads(read_file(_claims_file())), PortFile).claims
    except (OSError, ValueError, InvalidRecord):
        return ()


def _write_claims(claims: Sequence[PortClaim]) -> None:
    value = encode(PortFile(SCHEMA, tuple(claims)))
    write_atomic(_claims_file(), (json.dumps(value, indent=2) + "\n").encode())
