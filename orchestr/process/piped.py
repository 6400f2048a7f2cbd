"""A program that is talked to while it runs, by a program of ours that has an event loop.

Owns its start with pipes and the end of it and of its session. For what only runs to its end there
is `orchestr.process.run`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

LOOK = 0.1  # seconds between two looks at a program whose end is waited for
LONGEST = 50 << 20  # bytes of a line that `readline` of the program's streams may give


async def start_piped(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bool = True,
    join_stderr: bool = False,
) -> asyncio.subprocess.Process:
    """Start a program in a session of its own, its stdout and stderr as pipes.

    Without ``stdin`` its input is empty; ``join_stderr`` puts what it says there among its stdout.
    Raises OSError, ValueError.
    """
    return await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd,
        env=dict(env),
        stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT if join_stderr else asyncio.subprocess.PIPE,
        limit=LONGEST,
        start_new_session=True,
    )


async def end_piped(process: asyncio.subprocess.Process, *, patience: float, grace: float) -> None:
    """Close its input, give it ``patience`` seconds to end by itself, then terminate and, after
    ``grace`` seconds, kill it with all that is in its session's group."""
    if process.stdin is not None:
        with suppress(OSError, RuntimeError):
            process.stdin.close()
    for number, wait in ((None, patience), (signal.SIGTERM, grace), (signal.SIGKILL, grace)):
        if number is not None:
            signal_group(process, number)
        with suppress(TimeoutError):
            await asyncio.wait_for(wait_for_code(process), wait)
            break
    signal_group(process, signal.SIGKILL)  # what it left behind
    # asyncio has no public way to close the pipes of a process that left children with them; open,
    # they complain at the end of the loop.
    transport = vars(process).get("_transport")
    if isinstance(transport, asyncio.SubprocessTransport):
        transport.close()
    await asyncio.sleep(0)


async def stop_reading_at_end(process: asyncio.subprocess.Process, linger: float) -> None:
    """Wait for its end and ``linger`` seconds for what it said last, then read no more of it.

    A child that it left behind may hold its pipes open for as long as it lives.
    """
    await wait_for_code(process)
    await asyncio.sleep(linger)
    transport = vars(process).get("_transport")
    if isinstance(transport, asyncio.SubprocessTransport):
        for number in (1, 2):
            pipe = transport.get_pipe_transport(number)
            if pipe is not None:
                pipe.close()


async def wait_for_code(process: asyncio.subprocess.Process) -> int:
    """Its exit code, negative for a signal; also while a child of its own holds its pipes.

    Some releases of asyncio let `Process.wait` wait for the pipes (gh-119710).
    """
    ended = asyncio.ensure_future(process.wait())
    try:
        while process.returncode is None and not ended.done():
            await asyncio.wait((ended,), timeout=LOOK)
    finally:
        ended.cancel()
    return process.returncode if process.returncode is not None else ended.result()


def signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal the program and what it started in its own group; nothing when all of it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
