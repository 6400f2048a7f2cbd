"""Our own events, a JSON object a line on stdout: what the kind `acp` reads of the client.

Owns their names and forms; `orchestr.agents.kinds.acp` translates them. Text of the model comes in
small pieces and is put together for a moment, so that a transcript has lines and not letters.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

MOMENT = 0.25  # seconds in which pieces of a text become one line
LONGEST = 256 << 10  # characters of a text in a line; the supervisor cuts lines at 1 MiB


class EventWriter:
    """Prints events in the order in which they are given."""

    def __init__(self) -> None:
        self._kind = ""  # of the text that is being put together
        self._message = ""
        self._text = ""
        self._more = False
        self._timer: asyncio.TimerHandle | None = None

    def write(self, kind: str, **fields: Any) -> None:
        """Print one event. What was being said before it comes first, and ends there."""
        self.flush()
        self._more, self._kind = False, ""
        self._print({"type": kind, **fields})

    def add_text(self, kind: str, text: str, message: str = "") -> None:
        """A piece of a message (`acp_message`) or of a thought (`acp_thought`); ``message`` is the
        id of the one that it belongs to, where the agent says it."""
        if (kind, message) != (self._kind, self._message):
            self.flush()
            self._kind, self._message, self._more = kind, message, False
        self._text += text
        if len(self._text) >= LONGEST:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(MOMENT, self.flush)

    def flush(self) -> None:
        """Print the text that has come so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        text, self._text = self._text, ""
        while text:
            event = {"type": self._kind, "text": text[:LONGEST], "more": self._more}
            self._print(event)
            text, self._more = text[LONGEST:], True

    def write_error(self, text: str) -> None:
        """Why the turn did not come to its end."""
        self.write("acp_error", text=text)

    def write_result(self, stop_reason: str, usage: Mapping[str, int], cost: float | None) -> None:
        """The end of the turn, with what this start took. The supervisor knows an event of type
        `result`."""
        self.write("result", stop_reason=stop_reason, cost_usd=cost, acp=True, **usage)

    @staticmethod
    def _print(event: Mapping[str, Any]) -> None:
        sys.stdout.write(join_surrogates(json.dumps(event, ensure_ascii=False, default=str)) + "\n")
        sys.stdout.flush()


def join_surrogates(text: str) -> str:
    """The text as UTF-8 can say it: an agent may cut a text in the middle of a character, and send
    the halves of its pair one by one. A half that stays alone becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def cut_text(text: str, most: int = LONGEST) -> str:
    """The text, its middle left out where it is too long for a line."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def join_blocks(blocks: Any) -> str:
    """The text in a tool call's content; what is no text is named by its type."""
    found: list[str] = []
    for block in blocks if isinstance(blocks, Sequence) and not isinstance(blocks, str) else ():
        if not isinstance(block, Mapping):
            continue
        inner = block.get("content") if block.get("type") == "content" else block
        if isinstance(inner, Mapping) and isinstance(inner.get("text"), str):
            found.append(inner["text"])
        elif block.get("type") not in ("diff", "terminal"):
            found.append(f"[{(inner or block).get('type')}]" if isinstance(inner, Mapping) else "")
    return "\n".join(part for part in found if part)
