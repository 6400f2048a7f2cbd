"""What an agent tells while it works (`session/update`), as our events, and what it takes.

Updates are read as they come, without the library's models: a newer agent may send kinds and forms
that these do not know, and must not end a turn by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orchestr.agents.acp.event_lines import EventWriter, cut_text, join_blocks
from orchestr.agents.acp.permission_rules import find_command, find_paths
from orchestr.agents.events import amount_or_none, count_or_zero

_FENCED = re.compile(r"```\w*\n(.*)\n```", re.DOTALL)  # claude's output of commands
SETTLED = ("completed", "failed")
LONGEST_VALUE = 20_000  # characters of a value in an event


class UpdateReader:
    """Translates the updates of one session. ``quiet``: an old session is being repeated."""

    def __init__(self, out: EventWriter, spent_usd: float = 0.0) -> None:
        self._out = out
        self.quiet = False
        self.usage = UsageCounter(spent_usd)
        self._calls: dict[str, dict[str, Any]] = {}  # by id, what is known of them
        self._shown: set[str] = set()

    def read(self, update: Mapping[str, Any]) -> None:
        """Take one update."""
        kind = update.get("sessionUpdate")
        if kind == "usage_update":
            self._read_usage(update)
            return
        if self.quiet:
            return
        match kind:
            case "agent_message_chunk" | "agent_thought_chunk":
                event = "acp_message" if kind == "agent_message_chunk" else "acp_thought"
                text = join_blocks([update.get("content")])
                if text:
                    self._out.add_text(event, text, str(update.get("messageId") or ""))
                self._read_answer_usage(update.get("_meta"))
            case "tool_call" | "tool_call_update":
                self._read_tool(update)
            case "plan":
                self._out.write("acp_plan", entries=[
                    {"text": str(one.get("content")), "status": str(one.get("status"))}
                    for one in update.get("entries") or ()
                    if isinstance(one, Mapping)])  # fmt: skip
            case "user_message_chunk" | "available_commands_update" | "session_info_update":
                pass
            case "current_mode_update" | "config_option_update":
                pass
            case _:
                self._out.write("acp_note", text=f"{kind}")

    def _read_tool(self, update: Mapping[str, Any]) -> None:
        """A tool is shown once, when it is known what it is given or when it ends."""
        known = self.learn_call(update)
        key, status = str(known.get("toolCallId") or ""), known.get("status")
        if status not in (None, "pending") or find_command(known) or _names_file(known):
            self._show_tool(key, known)
        if status in SETTLED:
            text = join_blocks(known.get("content")) or read_output(known.get("rawOutput"))
            fenced = _FENCED.fullmatch(text)
            text = fenced[1] if fenced else text
            edits = list(find_edits(known))
            self._out.write("acp_tool_result", id=key, text=cut_text(text), edits=edits,
                            failed=status == "failed", exit_code=find_exit_code(known))  # fmt: skip
            self._calls.pop(key, None)

    def learn_call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """All that is known of a tool call, with what ``call`` adds to it."""
        key = str(call.get("toolCallId") or "")
        # Without an id it is not known which call it adds to: it must not lend another's command.
        known = self._calls.setdefault(key, {}) if key else {}
        known |= {k: v for k, v in call.items() if v not in (None, [], {}, "")}
        return known

    def learn_asked_call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """The same for a call that permission is asked for; it is shown before the answer."""
        known = self.learn_call(call)
        self._show_tool(str(known.get("toolCallId") or ""), known)
        return known

    def _show_tool(self, key: str, known: Mapping[str, Any]) -> None:
        if not key or key not in self._shown:
            self._shown.add(key)
            self._out.write("acp_tool", id=key, **describe_tool(known))

    def _read_usage(self, update: Mapping[str, Any]) -> None:
        tokens, cost = self.usage.add_update(update, restored=self.quiet)
        if tokens or cost:
            self._out.write("acp_usage", input=tokens, cost_usd=cost)

    def _read_answer_usage(self, meta: Any) -> None:
        """What one answer of the model took, where the agent adds that (qwen)."""
        found = normalise_usage(meta.get("usage")) if isinstance(meta, Mapping) else {}
        if found:
            self._out.write("acp_usage", **found)


class UsageCounter:
    """What a session takes, from updates that name its context and the sum of its costs.

    ACP has no live count of tokens: `used` is what lies in the context. The known agents send one
    update for each answer of the model, which has read all of it, so each counts whole.
    """

    def __init__(self, spent_usd: float = 0.0) -> None:
        self._total = spent_usd  # dollars of the whole session
        self._used: int | None = None  # tokens in the context at the newest update
        self.cost_usd: float | None = None  # of this start; None: the agent names none

    def add_update(self, update: Mapping[str, Any], *, restored: bool) -> tuple[int, float | None]:
        """Tokens and dollars that are new; ``restored`` ones were counted by an earlier start."""
        used = count_or_zero(update.get("used"))
        cost = update.get("cost")
        amount = amount_or_none(cost.get("amount")) if isinstance(cost, Mapping) else None
        new: float | None = None
        if (
            isinstance(cost, Mapping)
            and amount is not None
            and str(cost.get("currency") or "USD").upper() == "USD"
        ):
            new = max(0.0, amount - self._total)
            self._total += new
        # An answer adds to the context: an update that says the same again is of no new one.
        tokens = 0 if used == self._used and not new else used
        self._used = used
        if restored:
            return 0, None
        if new is not None:
            self.cost_usd = (self.cost_usd or 0.0) + new
        return tokens, new


def normalise_usage(raw: Any) -> dict[str, int]:
    """Input with what came from a cache, of that `cached`, and output; empty for no figures.

    Agents differ in whether `inputTokens` holds the cached ones: the sum says which it is.
    """
    if not isinstance(raw, Mapping):
        return {}
    names = ("inputTokens", "cachedReadTokens", "cachedWriteTokens", "outputTokens",
             "thoughtTokens", "totalTokens")  # fmt: skip
    given, cached, written, output, thought, total = (
        count_or_zero(raw.get(name)) for name in names
    )
    whole = given + cached + written
    if total:
        whole = whole if whole + output <= total else given
        output = max(output, total - whole)
    else:
        output += thought
    return {"input": whole, "cached": cached, "output": output} if whole or output else {}


def read_turn_usage(answer: Mapping[str, Any]) -> dict[str, int]:
    """What the turn took, from the answer to `session/prompt`; empty where it does not say."""
    found = normalise_usage(answer.get("usage"))
    meta = answer.get("_meta")
    quota = meta.get("quota") if isinstance(meta, Mapping) else None
    count = quota.get("token_count") if isinstance(quota, Mapping) else None
    if found or not isinstance(count, Mapping):
        return found
    given, output = (
        count_or_zero(count.get("input_tokens")),
        count_or_zero(count.get("output_tokens")),
    )
    return {"input": given, "cached": 0, "output": output} if given or output else {}


def _names_file(call: Mapping[str, Any]) -> bool:
    given = call.get("rawInput")
    return isinstance(given, Mapping) and any(find_paths({"rawInput": given}))


def describe_tool(call: Mapping[str, Any]) -> dict[str, Any]:
    """Name, input and changes of a tool, for the event."""
    given = call.get("rawInput")
    paths = [
        str(one.get("path")) for one in call.get("locations") or () if isinstance(one, Mapping)
    ]
    title = str(call.get("title") or "")
    fields: dict[str, Any] = {
        "name": str(call.get("kind") or "tool"),
        "title": title[:LONGEST_VALUE],
    }
    if isinstance(given, Mapping):
        fields["input"] = {k: cut_text(v, LONGEST_VALUE) if isinstance(v, str) else v
                           for k, v in given.items()}  # fmt: skip
    elif isinstance(given, str):
        fields["input"] = cut_text(given, LONGEST_VALUE)
    if paths:
        fields["paths"] = paths
    return fields


def find_edits(call: Mapping[str, Any]) -> list[dict[str, str]]:
    """The changes of files in a tool's content."""
    return [
        {"path": str(one.get("path") or ""), "before": cut_text(str(one.get("oldText") or "")),
         "after": cut_text(str(one.get("newText") or ""))}
        for one in call.get("content") or ()
        if isinstance(one, Mapping) and one.get("type") == "diff"
    ]  # fmt: skip


def read_output(value: Any) -> str:
    """The text of a tool's raw output, by the names that agents use for it."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        for key in (
            "output",
            "formatted_output",
            "aggregated_output",
            "stdout",
            "content",
            "error",
        ):
            if isinstance(value.get(key), str):
                return str(value[key])
    return ""


def find_exit_code(call: Mapping[str, Any]) -> int | None:
    """The exit code of a command, where the agent reports one."""
    value = call.get("rawOutput")
    for holder in (value, value.get("metadata") if isinstance(value, Mapping) else None):
        for key in ("exit_code", "exitCode", "exit"):
            code = holder.get(key) if isinstance(holder, Mapping) else None
            if isinstance(code, int) and not isinstance(code, bool):
                return code
    return None
