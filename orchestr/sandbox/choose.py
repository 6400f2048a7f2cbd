"""Which sandbox works on this machine: asked once, by starting it.

A program that is installed may still be of no use: user namespaces are switched off in many
containers and limited by AppArmor on some distributions. So the answer comes from entering one. It
is kept for this process only: a machine changes.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from orchestr.errors import OrchestrError
from orchestr.process.run import run_command
from orchestr.sandbox.enter import ISOLATION
from orchestr.sandbox.mounts import SandboxError
from orchestr.settings.limit_records import LimitSettings, SandboxSettings

PATIENCE = 10.0  # seconds for a program that does nothing
INSTALL = "install bubblewrap (apt install bubblewrap, dnf install bubblewrap)"


class SandboxKind(StrEnum):
    """What stands around a program."""

    BWRAP = "bwrap"
    SRT = "srt"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ChosenSandbox:
    """``program`` is its path. ``reason`` says why there is none; empty where none was wanted."""

    kind: SandboxKind
    program: str = ""
    reason: str = ""
    hint: str = ""


def choose_sandbox(settings: SandboxSettings) -> ChosenSandbox:
    """The sandbox that the settings ask for. Raises SandboxError when a required one is missing."""
    found = _choose(settings.mode)
    wanted = settings.require or settings.mode not in ("auto", "none")
    if wanted and found.kind is SandboxKind.NONE:
        why = found.reason or "[sandbox] mode is none"
        raise SandboxError(
            f"no sandbox, and the settings require one: {why}",
            hint=found.hint or 'set [sandbox] mode = "auto", or require = false',
        )
    return found


def _choose(mode: str) -> ChosenSandbox:
    if mode == "none":
        return ChosenSandbox(SandboxKind.NONE)
    reasons, hints = [], []
    kinds = (SandboxKind.BWRAP, SandboxKind.SRT) if mode == "auto" else (SandboxKind(mode),)
    for kind in kinds:
        program = shutil.which(kind.value)
        if program is None:
            reasons.append(f"{kind} is not installed")
            hints.append(INSTALL if kind is SandboxKind.BWRAP
                         else "npm install -g @anthropic-ai/sandbox-runtime")  # fmt: skip
            continue
        why = probe_program(kind, program)
        if why is None:
            return ChosenSandbox(kind, program)
        reasons.append(f"{kind} does not work here: {why}")
        hints.append("allow user namespaces (sysctl kernel.unprivileged_userns_clone=1), or "
                     'set [sandbox] mode = "none"')  # fmt: skip
    return ChosenSandbox(SandboxKind.NONE, reason=reasons[0], hint=hints[0])


@cache
def probe_program(kind: SandboxKind, program: str) -> str | None:
    """Why a sandbox cannot be entered here; None when it can. Asked once by each process."""
    if kind is SandboxKind.BWRAP:
        words = [program, *ISOLATION, "--unshare-net", "--ro-bind", "/", "/", "--dev", "/dev",
                 "--proc", "/proc", "--tmpfs", "/tmp", "--", "/bin/sh", "-c", ":"]  # fmt: skip
    else:
        words = [program, "sh", "-c", ":"]
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent"}
    try:
        done = run_command(words, cwd=Path("/"), env=env, timeout=PATIENCE, check=False)
    except OrchestrError as error:
        return error.reason
    if done.code == 0:
        return None
    lines = done.err.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:200] if lines else f"exit {done.code}"


@cache
def has_scopes() -> bool:
    """Whether systemd makes control groups for this user here."""
    if not sys.platform.startswith("linux") or shutil.which("systemd-run") is None:
        return False
    words = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "--", "true"]
    try:
        done = run_command(words, cwd=Path("/"), env=os.environ, timeout=PATIENCE, check=False)
    except OrchestrError:
        return False
    return done.code == 0


def needs_scope(limits: LimitSettings) -> bool:
    """Whether a control group is of use: something is limited, and one can be made."""
    limited = limits.memory or limits.cpus or limits.pids
    return bool(limited) and has_scopes()
