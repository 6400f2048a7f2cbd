"""The one way to start a command in whichever sandbox there is."""

from __future__ import annotations

from dataclasses import replace

from orchestr.sandbox.choose import ChosenSandbox, SandboxKind, needs_scope
from orchestr.sandbox.hosts import drop_user_proxy
from orchestr.sandbox.srt import wrap_with_srt
from orchestr.sandbox.wall import WallRequest, wrap_command, write_plan


def enclose_command(
    request: WallRequest, sandbox: ChosenSandbox, argv: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The command and the environment to start; ``sandbox`` is one, not none.

    Raises SandboxError, OSError.
    """
    env = {name: value for name, value in request.env.items() if name != "TMPDIR"}
    request = replace(request, env=env, program=argv[0] if argv else "")
    if sandbox.kind is SandboxKind.SRT:
        return wrap_with_srt(request, sandbox.program, argv), env
    plan = write_plan(request, sandbox.program, has_scopes=needs_scope(request.limits))
    if not request.network.has_everything:  # the way out is set inside
        env = drop_user_proxy(env)
    return wrap_command(plan, argv), env
