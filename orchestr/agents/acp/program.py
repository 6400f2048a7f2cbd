"""The program that a supervisor starts as the agent of kind `acp`: `program.py REQUEST.json`.

The prompt comes on stdin, events go to stdout, what the agent says on stderr goes to stderr. Exit 0
after a turn that ended well, 1 after one that did not, 127 when the agent's program is missing, 130
when it was interrupted. An interrupt cancels the turn first, so that the agent keeps its session.

It is started by its path and `-I`: the current folder is the worktree, and nothing of it may be
imported. If it is killed, the supervisor ends the agent with all others of the attempt.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # started by its path: the package may not be installed
    sys.path.append(str(Path(__file__).resolve().parents[3]))

import asyncio
import io
import os
import signal
from contextlib import suppress

from orchestr.agents.acp.drive import AcpTalk
from orchestr.agents.acp.event_lines import EventWriter
from orchestr.agents.acp.failures import AcpFailure, explain_stop
from orchestr.agents.acp.request import ClientRequest, read_client_request
from orchestr.agents.acp.wire import MessageWire
from orchestr.process.piped import (
    end_piped,
    start_piped,
    stop_reading_at_end,
    wait_for_code,
)

LAST_WORDS = 3.0  # seconds for the agent to end by itself after its turn, or to answer a cancel
GRACE = 2.0  # seconds between terminate and kill
INTERRUPTED, MISSING = 130, 127


async def run_client(asked: ClientRequest, prompt: str) -> int:
    """Start the agent, let it do one turn, end it. The exit code."""
    out = EventWriter()
    try:
        process = await start_piped(asked.run, cwd=Path(asked.worktree), env=os.environ)
    except (OSError, ValueError) as error:
        out.write_error(f"program {asked.run[0]!r} cannot be started: {error}")
        return MISSING
    words: list[str] = []
    stderr = asyncio.create_task(_pass_stderr(process, words))
    watch = asyncio.create_task(stop_reading_at_end(process, GRACE))
    wire = MessageWire(process, out)
    talk = AcpTalk(asked, wire, out)
    turn = asyncio.create_task(talk.run_turn(prompt))
    stops = _StopSignals(talk, turn)
    try:
        why = explain_stop(await turn)
        if why:
            out.write_error(why)
        code = 1 if why else 0
    except AcpFailure as failure:
        out.write_error(str(failure))
        code = 1
    except (ConnectionError, OSError):
        with suppress(TimeoutError):
            await asyncio.wait_for(wait_for_code(process), LAST_WORDS)
        await asyncio.wait((stderr,), timeout=GRACE)
        said = words[-1] if words else wire.last_noise
        end = _describe_end(process.returncode)
        if not stops.count:
            out.write_error(
                f"the agent {end} in the middle of its work{f': {said}' if said else ''}"
            )
        code = 1
    except asyncio.CancelledError:
        code = INTERRUPTED
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        out.write_error(f"what the agent sent cannot be read: {type(error).__name__}: {error}")
        code = 1
    out.flush()
    with suppress(ConnectionError, OSError):
        await talk.close()
    await end_piped(process, patience=0.0 if stops.count else LAST_WORDS, grace=GRACE)
    watch.cancel()
    stderr.cancel()
    return INTERRUPTED if stops.count else code


class _StopSignals:
    """The first signal asks the agent to cancel its turn; the second, or time, ends the wait."""

    def __init__(self, talk: AcpTalk, turn: asyncio.Task[str]) -> None:
        self.count = 0
        self._talk = talk
        self._turn = turn
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._stop)

    def _stop(self) -> None:
        self.count += 1
        if self.count > 1:
            self._turn.cancel()
            return
        self._tasks.append(asyncio.ensure_future(self._cancel_turn()))
        self._loop.call_later(LAST_WORDS, self._turn.cancel)

    async def _cancel_turn(self) -> None:
        with suppress(ConnectionError, OSError):
            await self._talk.cancel()


async def _pass_stderr(process: asyncio.subprocess.Process, words: list[str]) -> None:
    """Pass on what the agent says there; ``words`` gets its last line that is not empty."""
    while process.stderr is not None:
        try:
            line = await process.stderr.readline()
        except ValueError:  # a line without an end
            continue
        if not line:
            return
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
        text = line.decode("utf-8", "replace").strip()
        if text:
            words[:] = [text[:500]]


def _describe_end(code: int | None) -> str:
    if code is None:
        return "closed its output"
    return f"was killed by signal {-code}" if code < 0 else f"ended (exit {code})"


def main(words: list[str]) -> int:
    """Do what the file named in ``words`` asks for."""
    asked = read_client_request(Path(words[0]))
    if isinstance(sys.stdout, io.TextIOWrapper):  # whatever the user's locale is
        sys.stdout.reconfigure(encoding="utf-8")
    prompt = sys.stdin.buffer.read().decode("utf-8", "replace")
    return asyncio.run(run_client(asked, prompt))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
