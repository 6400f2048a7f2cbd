"""``logs``: a transcript for people, an event at a time.

Pure: lines of a transcript in, styled lines for people out. Messages are shown whole, a tool by
the most useful part of its input, its result folded below it, an edit as a diff, then usage,
limits and the end. Knows our own lines and the streams of claude, codex, gemini and opencode; other
streams come as our events from the agent's adapter (`parse`). A record that it does not know is
shown by `transcript.format_line_or_empty`, so nothing is dropped in silence.

Owns no file. What it remembers of earlier lines is bounded: which tool a late result belongs to,
and the sums of usage.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from orchestr.agents.events import Parse, UsageLimit, amount_or_none
from orchestr.views.logs.events import EventFormatter, Line, describe_limit
from orchestr.views.logs.transcript import format_line_or_empty, record_of, shorten_value
from orchestr.views.terminal.text import (
    clean_line,
    clip,
    format_clock,
    format_tokens,
    paint,
    parse_local_time,
    printable_line,
)

FOLD = 6  # lines of a result that are shown
_LONGEST = 2000  # columns of one line, whatever the terminal
_REMEMBERED = 200  # tools whose result is awaited
_DIFF = 40  # lines of a diff that are shown
_BIG = 64 * 1024  # letters of an edit that are compared
_HUNK = re.compile(r"(diff --git |@@ -\d|--- \S|\+\+\+ \S)")


@dataclass(slots=True)
class TranscriptFormatter:
    """Formats one transcript. ``full`` folds nothing; ``at`` is the newest time that was read.

    ``parse`` is the translation of a line by the agent's adapter (`dialect.event_parser`); without
    it the fields of a record decide which of the four known streams it is of.
    """

    full: bool = False
    parse: Parse | None = None
    at: datetime | None = None
    _tools: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _last: str = ""  # the tool shown last
    _in_diff: bool = False
    _said: str = ""  # the message shown last: the end often repeats it
    _delta: bool = False  # a message in pieces is being shown
    _input: int = 0
    _output: int = 0
    _cost: float = 0.0
    _events: EventFormatter = field(default_factory=EventFormatter)

    def format_record(self, raw: bytes) -> list[Line]:
        """The lines for one line of the transcript; none for book-keeping. Never raises."""
        record = record_of(raw)
        if record is None:
            words = format_line_or_empty(raw)
            return [(words, "")] if words else []
        stamp = self._clock_prefix(record)
        try:
            if self.parse is None or "stream" in record:
                lines = self._format_event(record)
            else:
                lines = self._events.format_events(self.parse(raw))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            lines = [(clip(clean_line(json.dumps(record)), 500), "dim")]  # of a later version
        lines = [(clip(text, _LONGEST), style) for text, style in lines]
        if lines and stamp and not lines[0][0].startswith("  │"):
            lines[0] = (stamp + lines[0][0], lines[0][1])
        return lines

    def _clock_prefix(self, record: dict[str, Any]) -> str:
        value = record.get("ts") or record.get("timestamp")
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                value = datetime.fromtimestamp(value / 1000, UTC).isoformat()
            except (ValueError, OverflowError, OSError):
                return ""
        found = parse_local_time(value) if isinstance(value, str) else None
        if found is None:
            return ""
        self.at = found
        return f"{format_clock(str(value))} "

    def _format_event(self, record: dict[str, Any]) -> list[Line]:
        if "stream" in record and isinstance(record.get("text"), str):
            return self._format_own_line(record)
        self._in_diff = False
        kind = record.get("type")
        if not (kind == "message" and record.get("delta") is True):
            self._delta = False
        match kind:
            case "assistant" | "user" if isinstance(record.get("message"), dict):
                return self._format_claude_message(record)
            case "result":
                return self._format_result(record)
            case "rate_limit_event":
                return _format_rate_limit(_dict_or_empty(record.get("rate_limit_info")))
            case "message":
                return self._format_gemini_message(record)
            case "tool_use" if "part" in record:
                return self._format_opencode_tool(_dict_or_empty(record.get("part")))
            case "tool_use":
                name = str(record.get("tool_name") or "tool")
                return self._format_tool_call(
                    str(record.get("tool_id")), name, record.get("parameters")
                )
            case "tool_result":
                error = _dict_or_empty(record.get("error")).get("message")
                said = record.get("output") or error
                bad = record.get("status") == "error"
                return self._format_tool_result(str(record.get("tool_id")), said, bad)
            case "item.completed":
                return self._format_codex_item(_dict_or_empty(record.get("item")))
            case "turn.completed":
                usage = _dict_or_empty(record.get("usage"))
                self._add_tokens(usage.get("input_tokens"), usage.get("output_tokens"))
                return [(f"= turn ended{self._usage_words()}", "bold")]
            case "text":
                return self._format_message(
                    _dict_or_empty(record.get("part")).get("text") or record.get("text")
                )
            case "step_finish":
                return self._format_step_finish(_dict_or_empty(record.get("part")))
            case "error" | "turn.failed":
                said = shorten_value(record.get("error") or record.get("message") or record)
                repeated, self._said = said == self._said, said
                return [] if repeated else [(f"✗ {clean_line(said)}", "red")]
            case _:
                words = format_line_or_empty(json.dumps(record).encode(), stamp=False)
                return [(words, "dim")] if words else []

    # ---- our own lines ---------------------------------------------------------------------

    def _format_own_line(self, record: dict[str, Any]) -> list[Line]:
        text = printable_line(str(record["text"]))
        if not text.strip():
            return []
        if record.get("stream") == "stderr":
            return [(f"! {text}", "yellow")]
        if _HUNK.match(text):
            self._in_diff = True
        elif self._in_diff and text[:1] not in " +-@\\" and not text.startswith("index "):
            self._in_diff = False
        return [(text, _diff_style(text) if self._in_diff else "")]

    # ---- claude ----------------------------------------------------------------------------

    def _format_claude_message(self, record: dict[str, Any]) -> list[Line]:
        message = _dict_or_empty(record.get("message"))
        content = message.get("content")
        if isinstance(content, str):
            return self._format_message(content) if record.get("type") == "assistant" else []
        lines: list[Line] = []
        inner = "  " if record.get("parent_tool_use_id") else ""  # an agent of the agent
        for block in content if isinstance(content, list) else ():
            block = _dict_or_empty(block)
            match block.get("type"):
                case "text" if record.get("type") == "assistant":
                    lines += self._format_message(block.get("text"))
                case "thinking":
                    lines += _fold_text(block.get("thinking"), "dim", 0 if self.full else 2, "~ ")
                case "tool_use":
                    name = str(block.get("name") or "tool")
                    lines += self._format_tool_call(str(block.get("id")), name, block.get("input"))
                case "tool_result":
                    bad = block.get("is_error") is True
                    lines += self._format_tool_result(
                        str(block.get("tool_use_id")), block.get("content"), bad
                    )
                case _:
                    pass
        return [(inner + text, style) for text, style in lines]

    def _format_result(self, record: dict[str, Any]) -> list[Line]:
        """The end in the streams of claude and gemini."""
        bad = record.get("is_error") is True or record.get("status") == "error"
        stats = _dict_or_empty(record.get("usage") or record.get("stats"))
        models = [_dict_or_empty(m) for m in _dict_or_empty(record.get("modelUsage")).values()]
        self._input = self._output = 0
        fresh = [m.get("inputTokens") for m in models] + [
            m.get("cacheReadInputTokens") for m in models
        ]
        if models:
            for number in fresh:
                self._add_tokens(number, 0)
            for model in models:
                self._add_tokens(0, model.get("outputTokens"))
        else:
            self._add_tokens(stats.get("input_tokens"), stats.get("output_tokens"))
        cost = record.get("total_cost_usd")
        self._cost = float(cost) if isinstance(cost, int | float) else self._cost
        turns = record.get("num_turns")
        head = "= ended with an error" if bad else "= ended"
        head += f", {turns} turns" if turns else ""
        said = clean_line(
            shorten_value(
                record.get("result") or _dict_or_empty(record.get("error")).get("message")
            )
        )
        repeated = said == clean_line(self._said)
        words = f": {clip(said, 500)}" if said and not repeated else ""
        return [(f"{head}{self._usage_words()}{words}", "bold red" if bad else "bold green")]

    # ---- codex -----------------------------------------------------------------------------

    def _format_codex_item(self, item: dict[str, Any]) -> list[Line]:
        match item.get("type"):
            case "agent_message":
                return self._format_message(item.get("text"))
            case "reasoning":
                return _fold_text(item.get("text"), "dim", 0 if self.full else 2, "~ ")
            case "command_execution":
                code = item.get("exit_code")
                bad = code not in (0, None)
                command = clean_line(str(item.get("command") or ""))
                head = f"▸ $ {command}" + (f" (exit {code})" if bad else "")
                result = self._fold_result(item.get("aggregated_output"), bad)
                return [(head, "red" if bad else "cyan"), *result]
            case "file_change":
                lines: list[Line] = []
                for change in item.get("changes") or ():
                    change = _dict_or_empty(change)
                    kind = str(change.get("kind") or "change")
                    lines.append((f"▸ {kind} {clean_line(str(change.get('path')))}", "cyan"))
                    lines += self._format_diff(printable_lines(change.get("diff")))
                return lines
            case "error":
                return [(f"note: {clean_line(shorten_value(item.get('message')))}", "dim")]
            case "todo_list":
                items = [_dict_or_empty(i) for i in item.get("items") or ()]
                marks = ["✓" if i.get("completed") else "·" for i in items]
                return [
                    (f"{mark} {clean_line(str(i.get('text')))}", "dim")
                    for mark, i in zip(marks, items, strict=True)
                ]
            case other:
                what = clean_line(shorten_value(item.get("query") or item.get("tool")))
                return [(f"▸ {clean_line(str(other))} {what}".rstrip(), "cyan")]

    # ---- gemini and opencode ---------------------------------------------------------------

    def _format_gemini_message(self, record: dict[str, Any]) -> list[Line]:
        if record.get("role") == "user":
            return []
        going_on, self._delta = self._delta, record.get("delta") is True
        lines = self._format_message(record.get("content"))
        return [(f"  {text}", style) for text, style in lines] if going_on else lines

    def _format_opencode_tool(self, part: dict[str, Any]) -> list[Line]:
        state = _dict_or_empty(part.get("state"))
        name, key = str(part.get("tool") or "tool"), str(part.get("callID"))
        lines = self._format_tool_call(key, name, state.get("input"))
        bad = state.get("status") == "error"
        shown = "diff" if len(lines) > 1 and not bad else state.get("error") or state.get("output")
        return lines if shown == "diff" else [*lines, *self._format_tool_result(key, shown, bad)]

    def _format_step_finish(self, part: dict[str, Any]) -> list[Line]:
        used = _dict_or_empty(part.get("tokens"))
        cache = _dict_or_empty(used.get("cache"))
        self._add_tokens(used.get("input"), used.get("output"))
        self._add_tokens(cache.get("read"), used.get("reasoning"))
        cost = part.get("cost")
        self._cost += float(cost) if isinstance(cost, int | float) else 0.0
        if part.get("reason") == "tool-calls":
            return []
        ok = part.get("reason") == "stop"
        why = "" if ok else f" ({clean_line(str(part.get('reason')))})"
        return [(f"= ended{why}{self._usage_words()}", "bold green" if ok else "bold red")]

    # ---- what they share -------------------------------------------------------------------

    def _format_message(self, text: Any) -> list[Line]:
        lines = printable_lines(text)
        while lines and not lines[0].strip():
            lines = lines[1:]
        while lines and not lines[-1].strip():
            lines = lines[:-1]
        if lines:
            self._said = str(text)
        return [(line, "") for line in lines]

    def _format_tool_call(self, key: str, name: str, given: Any) -> list[Line]:
        """`▸ Bash go test ./...`, and below it the diff of an edit."""
        values = _dict_or_empty(given)
        what = clean_line(shorten_value(given)) if values else ""
        label = f"{clean_line(name)} {clip(what, 300)}".rstrip()
        self._tools[key] = label
        self._last = key
        while len(self._tools) > _REMEMBERED:
            self._tools.popitem(last=False)
        return [(f"▸ {label}", "cyan"), *self._format_diff(_diff_of_edit(values))]

    def _format_tool_result(self, key: str, said: Any, bad: bool) -> list[Line]:
        """A result below its tool; one that comes late names the tool again."""
        label = self._tools.pop(key, "")
        lines = self._fold_result(said, bad)
        if not lines or not label or key == self._last:
            return lines
        return [(f"↳ {label}", "dim"), *lines]

    def _fold_result(self, said: Any, bad: bool) -> list[Line]:
        text = shorten_value(said) if not isinstance(said, list) else _join_blocks(said)
        if not bad and clean_line(text) in ("(no output)", "(Bash completed with no output)"):
            return []
        return _fold_text(text, "red" if bad else "dim", 0 if self.full else FOLD, "│ ", tail=bad)

    def _format_diff(self, lines: Sequence[str]) -> list[Line]:
        shown = lines if self.full else lines[:_DIFF]
        found = [(f"  │ {line}", _diff_style(line)) for line in shown]
        left = len(lines) - len(shown)
        return [*found, (f"  │ … {left} more lines", "dim")] if left else found

    def _add_tokens(self, given: Any, out: Any) -> None:
        self._input += given if isinstance(given, int) else 0
        self._output += out if isinstance(out, int) else 0

    def _usage_words(self) -> str:
        words = (
            f", {format_tokens(self._input)} in, {format_tokens(self._output)} out"
            if self._input
            else ""
        )
        return words + (f", ${self._cost:.{2 if self._cost >= 0.1 else 4}f}" if self._cost else "")


def paint_lines(lines: Iterable[Line], columns: int, colour: bool) -> list[str]:
    """For the terminal: cut to ``columns`` (0: not at all), in colours where they are wanted."""
    return [paint(clip(t, columns) if columns else t, style, colour) for t, style in lines]


def printable_lines(text: Any) -> list[str]:
    """The lines of a text with their indentation, safe for a terminal."""
    return [printable_line(line) for line in text.splitlines()] if isinstance(text, str) else []


def _fold_text(text: Any, style: str, most: int, mark: str, *, tail: bool = False) -> list[Line]:
    """At most ``most`` lines (0: all), of a failure the last ones, and how many are left out."""
    lines = [line for line in printable_lines(text) if line.strip()]
    left = len(lines) - most if most and len(lines) > most + 1 else 0
    if not left:
        return [(f"  {mark}{line}", style) for line in lines]
    shown = lines[-most:] if tail else lines[:most]
    told = [(f"  {mark}{line}", style) for line in shown]
    more = (f"  {mark}… {left} {'earlier' if tail else 'more'} lines", "dim")
    return [more, *told] if tail else [*told, more]


def _format_rate_limit(info: dict[str, Any]) -> list[Line]:
    if info.get("status") != "rejected" or info.get("isUsingOverage") is True:
        return []
    limit = UsageLimit(
        amount_or_none(info.get("resetsAt")), str(info.get("rateLimitType") or "usage")
    )
    return [(describe_limit(limit), "bold yellow")]


def _diff_of_edit(given: dict[str, Any]) -> list[str]:
    """The diff of an edit that a tool was asked for, by the names that the agents use."""
    edits = given.get("edits")
    pairs = [_dict_or_empty(e) for e in edits] if isinstance(edits, list) else [given]
    lines: list[str] = []
    for pair in pairs:
        old = pair.get("old_string", pair.get("oldString"))
        new = pair.get("new_string", pair.get("newString", pair.get("content")))
        if not isinstance(new, str) or (old is None and "command" in pair):
            continue
        old = old if isinstance(old, str) else ""
        before, after = printable_lines(old[:_BIG]), printable_lines(new[:_BIG])
        found = difflib.unified_diff(before, after, lineterm="", n=2)
        lines += [line for line in list(found)[2:] if not line.startswith("@@ ")]
    return lines


def _diff_style(line: str) -> str:
    match line[:1]:
        case "+":
            return "green"
        case "-":
            return "red"
        case "@":
            return "cyan"
        case _:
            return "dim"


def _join_blocks(content: Sequence[Any]) -> str:
    """The text of a list of content blocks."""
    found = [_dict_or_empty(block) for block in content]
    return "\n".join(
        str(b.get("text")) if isinstance(b.get("text"), str) else f"[{b.get('type')}]"
        for b in found
    )


def _dict_or_empty(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
