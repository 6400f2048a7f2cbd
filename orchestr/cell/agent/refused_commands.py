"""Commands that an agent wanted to run and was not let run: counted, and how to allow them.

Refused commands are no failure: an agent finds another way, or leaves something undone without a
word. So each start that had some ends with a warning that names them and the line for
`orchestr.toml`. What no agent needs (`git push`, publishing) is denied on purpose and not named.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from orchestr.agents.permissions import DENIED, tools_for
from orchestr.cell.agent.agent_work import AgentWork
from orchestr.cell.context import CellContext
from orchestr.state.events import EventKind

NAMED = 8  # programs in one warning
_PARTS = re.compile(r"&&|\|\||[;|\n]")
_WRAPPER = re.compile(r"^\S*/?(?:ba|da|z)?sh -l?c (['\"])(.*)\1$", re.DOTALL)
_SETTING = re.compile(r"^\w+=\S*$")
_PROGRAM = re.compile(r"^[\w./+@-]+$")


def count_refused(commands: Iterable[str], allowed: Sequence[str]) -> Counter[str]:
    """How often each program was refused that is not ``allowed``. Pure.

    Of a chain of commands those count that are not allowed: one of them is why all was refused.
    """
    found: Counter[str] = Counter()
    for command in commands:
        inner = _WRAPPER.match(command.strip())
        text = inner[2] if inner else command
        if any(_begins_with(part.strip(), denied) for part in _PARTS.split(text)
               for denied in DENIED):  # fmt: skip
            continue
        programs = [_find_program(part) for part in _PARTS.split(text)]
        found.update({name for name in programs if name and name not in allowed and name != "cd"})
    return found


def explain_refused(found: Counter[str], allowed: Sequence[str], repo: str) -> str:
    """The warning: what was refused, and the line that allows it. Pure."""
    programs = [name for name, _ in found.most_common(NAMED)]
    shown = ", ".join(f"{name} ({found[name]} times)" if found[name] > 1 else name
                      for name in programs)  # fmt: skip
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    quoted = ", ".join(f'"{name}"' for name in (*allowed, *programs))
    return (
        f"its agent was not let run {shown}{more}; to allow that: "
        f"tools = [{quoted}] in [repos.{repo}] of orchestr.toml"
    )


def warn_of_refused(ctx: CellContext, work: AgentWork, commands: Sequence[str]) -> None:
    """Warn of the commands that a start of an author was refused, if any needs a person."""
    if not commands or work.part:
        return
    named = ctx.repo_settings.tools
    everything = tools_for(ctx.worktree, named).allowed
    found = count_refused(commands, everything)
    if not found:
        return
    own = named or [tool for tool in everything if tool not in tools_for(ctx.dir).allowed]
    ctx.emit(
        EventKind.CELL_WARNED,
        phase=work.phase,
        attempt=work.attempt,
        reason=explain_refused(found, own, ctx.cell.repo),
    )


def _find_program(part: str) -> str:
    words = part.split()
    while words and (_SETTING.match(words[0]) or words[0] in ("time", "env", "nohup", "!")):
        words = words[1:]
    return words[0] if words and _PROGRAM.match(words[0]) else ""


def _begins_with(command: str, prefix: str) -> bool:
    return command == prefix or command.startswith(f"{prefix} ")
