"""What one start of an attempt's agent is given: prompt or a word to go on, command, settings.

Writes `launch.json` and what it names, all into the attempt's folder, nothing into the worktree.
An attempt that goes on with a session (`prepare_next_start`) has the session's id in a file of that
name, so a restart goes on with it too; `launch.json` says at which byte of the transcript the start
begins.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestr.agents import AgentLaunch, AgentRequest
from orchestr.agents.permissions import tools_for
from orchestr.agents.usage import tally_transcript
from orchestr.cell.agent.changed_guides import find_changed_guides, note_ignored
from orchestr.cell.agent.prompt import build_own_prompt, build_plan_prompt, build_prompt
from orchestr.cell.agent.sandbox_prompt import describe_wall
from orchestr.cell.agent_options import attempt_options, request_options
from orchestr.cell.context import CellContext
from orchestr.cell.own_results import find_phase
from orchestr.cell.worktree.readable_checkout import ensure_upstreams, readable_checkout
from orchestr.cell.worktree.signing import agent_git_config
from orchestr.cell.worktree.variables import cell_variables, plan_file
from orchestr.cell.worktree.wall import GIT_SETTINGS, WalledCommand, is_walled, wall_author
from orchestr.files import read_file, write_atomic
from orchestr.git.agent_environment import agent_git_env
from orchestr.process.missing_variable import find_missing_variables
from orchestr.process.redact_stream import hide_secret_values
from orchestr.process.redaction import secret_values
from orchestr.settings.trust_words import EVERYTHING
from orchestr.state import attempts, repairs
from orchestr.state.attempts import Attempt
from orchestr.state.results import TRANSCRIPT
from orchestr.supervisor import client

SESSION = "session"  # in an attempt's folder: what its next start goes on with
BEGINS = "begins"
MOVED = (
    "moved"  # in a chosen candidate's folder: the byte of its transcript from which it works here
)
OUTPUT = 1 << 18  # bytes of a transcript's end that are searched for missing variables
GO_ON = "go-on.md"
REPAIR = "repair.md"  # the words of the newest repair, for an agent that keeps no session
LIMIT_OVER = (
    "The usage limit that stopped you is over. Go on where you stopped: your task and its rules "
    "are the same, and what you had changed is still there (`git status` shows it).\n"
)


def write_launch(ctx: CellContext, attempt: Attempt, folder: Path) -> None:
    """The prompt and `launch.json`: all that the supervisor gets."""
    ensure_upstreams(ctx)
    own = find_phase(ctx, attempt.of) if attempt.of else None
    session = session_to_resume(folder)
    repair = _read_text(folder / REPAIR)
    walled = is_walled(ctx.run)
    prompt = folder / (GO_ON if session else "repair-prompt.md" if repair else "prompt.md")
    if session is None:
        notes = repair or _read_text(folder / "notes.txt")
        build: Callable[[CellContext, Attempt, str], str] = build_prompt
        if attempt.number < 0 or own is not None:
            build = build_plan_prompt if own is None else build_own_prompt
        text = build(ctx, attempt, notes) + describe_wall(ctx, walled)
        write_atomic(prompt, hide_secrets(ctx, text).encode())
    marker = attempt.process_marker(ctx.key)
    upstreams = tuple(readable_checkout(upstream) for upstream in ctx.upstreams())
    launch = ctx.run.agent_adapter(attempt.agent).prepare_launch(
        AgentRequest(
            ctx.worktree,
            prompt,
            {**cell_variables(ctx, attempt, prompt), **repair_variables(ctx, attempt)},
            **request_options(ctx, attempt.agent, attempt_options(ctx, attempt)),
            folder=folder,
            session=session,
            tools=tools_for(ctx.worktree, ctx.repo_settings.tools, upstreams),
            budget_usd=ctx.run.budget.remaining_usd(ctx.cell.name, attempt.number),
            schema=json.loads(own.schema) if own is not None and own.schema else None,
            walled=walled,
            trust=EVERYTHING in ctx.repo_settings.trust,
            trusted=ctx.repo_settings.trust,
            changed_guides=find_changed_guides(ctx, ctx.worktree),
        )
    )
    note_ignored(ctx, attempt, folder, launch.ignored)
    git = agent_git_env(
        ctx.repo,
        ctx.worktree,
        ctx.run.layout.excludes_file,
        patterns=ctx.unseen.patterns,
        config={**agent_git_config(ctx), **(GIT_SETTINGS if walled else {})},
        record=ctx.git_record,
    )
    # The user's login at the forge lies in gh's config: an agent's gh finds an empty folder.
    no_gh = str(ctx.run.layout.state / "no-gh")
    reads = attempt.number < 0 or (own is not None and own.output is not None)
    in_box = plan_file(ctx, attempt).parent
    if reads:
        in_box.mkdir(exist_ok=True)
    command = wall_author(
        ctx,
        launch,
        {
            "GH_CONFIG_DIR": no_gh,
            **launch.env,
            **git,
            **ctx.mark_inside("its agent", attempt.number),
            "ORCHESTR_ATTEMPT_ID": marker,
        },
        folder,
        agent=ctx.run.settings.agents[attempt.agent],
        can_write=not reads,
        read=upstreams,
        write=(in_box,) if reads else (),
    )
    write_launch_record(
        ctx,
        folder,
        launch,
        command,
        cwd=ctx.worktree,
        marker=marker,
        timeout=(own.timeout if own is not None else None) or ctx.timeout,
        idle_timeout=ctx.cell.idle_timeout or ctx.run.settings.limits.idle_timeout,
    )


def write_launch_record(
    ctx: CellContext,
    folder: Path,
    launch: AgentLaunch,
    command: WalledCommand,
    *,
    cwd: Path,
    marker: str,
    timeout: float,
    idle_timeout: float,
) -> None:
    """`launch.json` of an author's, a planner's or a reviewer's next start."""
    limits = ctx.run.settings.limits
    client.LaunchRecord(
        argv=command.argv,
        cwd=str(cwd),
        env=command.env,
        marker=marker,
        walled=is_walled(ctx.run),
        logins=command.logins,
        memory=limits.memory or 0,
        disk=limits.disk or 0,
        pids=limits.pids or 0,
        stdin=str(launch.stdin) if launch.stdin else None,
        format=launch.format,
        timeout=timeout,
        idle_timeout=idle_timeout,
        after_result=limits.after_result,
        grace=limits.grace,
        since=_file_size(folder / TRANSCRIPT),
        ends=launch.ends,
        goes_on=launch.goes_on,
        hidden=tuple(sorted(server_secrets(ctx))),
        raw_logs=ctx.run.settings.workspace.raw_logs,
    ).write(folder)


def hide_secrets(ctx: CellContext, text: str) -> str:
    """A text that an agent is given and that stays on the disk, without the user's secrets."""
    raw = ctx.run.settings.workspace.raw_logs
    return text if raw else hide_secret_values(text, os.environ)


def prepare_next_start(folder: Path, session: str | None, words: str = LIMIT_OVER) -> None:
    """Make the next start of this attempt resume ``session`` with the message ``words``.

    Without a session it starts with the whole prompt again. Puts `exit.json` aside: from here
    on the attempt counts as not started.
    """
    if session:
        write_atomic(folder / GO_ON, words.encode())
        write_atomic(folder / SESSION, session.encode())
    else:
        (folder / SESSION).unlink(missing_ok=True)
    number = len(list(folder.glob("exit.*.json"))) + 1
    write_atomic(folder / f"{BEGINS}.{number}", str(_file_size(folder / TRANSCRIPT)).encode())
    (folder / "supervisor.json").unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        (folder / "exit.json").rename(folder / f"exit.{number}.json")


def start_offsets(folder: Path) -> list[int]:
    """The bytes of the transcript at which its later starts begin, for readers of single starts."""
    found: list[int] = []
    with suppress(OSError, ValueError):
        while True:
            found.append(int(read_file(folder / f"{BEGINS}.{len(found) + 1}")))
    return found


def session_to_resume(folder: Path) -> str | None:
    """The session that the attempt's next start goes on with, None for a first start."""
    try:
        return read_file(folder / SESSION).decode("utf-8").strip() or None
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def attempt_session(ctx: CellContext, attempt: Attempt) -> str | None:
    """The session of an attempt's agent, by its transcript: for `prepare_next_start` with a
    repair. None where all of its sessions were in another worktree (`note_new_place`): what they
    know is where files were there."""
    folder, since = attempts.attempt_folder(ctx.dir, attempt.number), 0
    if attempt.chosen:
        with suppress(ValueError):
            since = int(_read_text(folder / MOVED) or 0)
    return tally_transcript(
        folder / TRANSCRIPT, ctx.run.agent_adapter(attempt.agent).parse_line, since=since
    ).session_id


def note_new_place(ctx: CellContext, attempt: Attempt) -> None:
    """From here on the attempt's agent works in another worktree: sessions of before stay there."""
    folder = attempts.attempt_folder(ctx.dir, attempt.number)
    if not (folder / MOVED).exists():
        write_atomic(folder / MOVED, str(_file_size(folder / TRANSCRIPT)).encode())


def last_start_offset(folder: Path) -> int:
    """The byte of the transcript at which the attempt's last start begins."""
    try:
        return client.read_launch(folder).since
    except (OSError, ValueError):
        return 0


def read_time_limit(folder: Path, name: str) -> float:
    """A time limit (seconds) of the last start, by its field in `launch.json`; 0 if unknown."""
    try:
        return float(getattr(client.read_launch(folder), name) or 0)
    except (OSError, ValueError):
        return 0.0


def launch_secrets(folder: Path) -> frozenset[str]:
    """The secret values in the environment of an attempt's agent: never to be shown."""
    try:
        return client.read_launch(folder).secrets
    except (OSError, ValueError):
        return frozenset()


def server_secrets(ctx: CellContext) -> frozenset[str]:
    """What MCP servers get: of their own variables those that look secret, since they stand in a
    file that the agent can read; tokens, whatever their variable is called."""
    servers = ctx.run.settings.mcp.values()
    tokens = {os.environ.get(server.token_env or "", "") for server in servers} - {""}
    return frozenset(tokens).union(*(secret_values(server.env) for server in servers))


def explain_missing_variables(folder: Path, agent: str) -> str:
    """What to pass on where an agent's output of its last start says that a variable is missing;
    empty where it does not. Only variables that are set here, or that say where a tool is."""
    try:
        launch = client.read_launch(folder)
        with (folder / TRANSCRIPT).open("rb") as stream:
            stream.seek(max(launch.since, _file_size(folder / TRANSCRIPT) - OUTPUT))
            said = stream.read().decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
    found = find_missing_variables(said.replace("\\n", "\n"), launch.env, os.environ)
    dropped = [one.name for one in found if one.dropped]
    unset = [one.name for one in found if not one.dropped and one.is_tool]
    advice = []
    if dropped:
        quoted = ", ".join(f'"{name}"' for name in dropped)
        advice.append(f"its output names {', '.join(dropped)}, set here and not passed on: add "
                    f"pass_env = [{quoted}] to [agents.{agent}] in orchestr.toml")  # fmt: skip
    if unset:
        advice.append(f"its output names {', '.join(unset)}, which is not set here")
    return "; ".join(advice)


def repair_variables(ctx: CellContext, attempt: Attempt) -> dict[str, str]:
    """`ORCHESTR_ROUND` and what it is about, while a repair is open; nothing else."""
    open_one = repairs.find_open_round(repairs.read_rounds(ctx.dir, attempt.number))
    if open_one is None:
        return {}
    words = repairs.words_path(ctx.dir, attempt.number, open_one.number)
    return {
        "ORCHESTR_ROUND": str(open_one.number),
        "ORCHESTR_REPAIR": open_one.phase,
        "ORCHESTR_REPAIR_FILE": str(words),
    }


def _read_text(path: Path) -> str:
    try:
        return read_file(path).decode("utf-8")
    except FileNotFoundError:
        return ""


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
