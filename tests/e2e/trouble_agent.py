"""A scripted agent that speaks four dialects and meets trouble of its provider, step by step.

Its plan is a file of the cell, a list of steps, one for each start: `[answers, end]`. Every answer
is noted in `server.jsonl` first, as a provider counts it. ``end`` is `ok`, `503`, `lost`,
`refused`, `limit SECONDS` or `on` (it answers until it is stopped). Sessions of claude and codex
are also written where the real ones keep them.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

INPUT, CACHED, OUTPUT = 1000, 200, 50
USD = 0.00321


def main() -> int:
    """One start."""
    dialect = Path(sys.argv[0]).stem
    if "--version" in sys.argv:
        print("9.9.9")
        return 0
    place, cell = Path(os.environ["TROUBLE_DIR"]), os.environ["ORCHESTR_CELL"]
    session = next((word for word in reversed(sys.argv) if word.startswith("5e55")), None)
    resumed = session is not None
    session = session or f"5e55{uuid.uuid4().hex[:8]}"
    starts = place / f"{cell}.starts"
    with starts.open("a") as stream:
        stream.write(f"{session} {'resumed' if resumed else 'new'}\n")
    number = len(starts.read_text().splitlines()) - 1
    plan = json.loads((place / f"{cell}.json").read_text())
    answers, end = plan[min(number, len(plan) - 1)]
    speak = Speaker(dialect, session, place)
    speak.begin()
    made = 0
    while made < answers or end == "on":
        speak.answer(cell)
        made += 1
        if end == "on":
            time.sleep(0.05)
    if end == "ok":
        Path(f"{cell}.txt").write_text("done\n")
    return speak.finish(end, made)


class Speaker:
    """What a dialect says."""

    def __init__(self, dialect: str, session: str, place: Path) -> None:
        self.dialect, self.session, self.place = dialect, session, place

    def say(self, **record: Any) -> None:
        """One line of its stream."""
        print(json.dumps(record), flush=True)

    def begin(self) -> None:
        """The session."""
        match self.dialect:
            case "claude":
                self.say(type="system", subtype="init", session_id=self.session)
            case "codex":
                self.say(type="thread.started", thread_id=self.session)
            case "gemini":
                self.say(type="init", session_id=self.session)

    def answer(self, cell: str) -> None:
        """One answer of the model: counted by the server, then said."""
        with (self.place / "server.jsonl").open("a") as stream:
            stream.write(json.dumps({"cell": cell, "session": self.session}) + "\n")
        key = uuid.uuid4().hex
        match self.dialect:
            case "claude":
                usage = {"input_tokens": INPUT - CACHED, "cache_read_input_tokens": CACHED,
                         "output_tokens": 1}  # fmt: skip
                content = [{"type": "text", "text": "I work."}]
                self.say(type="assistant", message={"id": key, "content": content, "usage": usage})
                self._record(".claude/projects/-w", f"{self.session}.jsonl", {
                    "type": "assistant",
                    "message": {"id": key, "usage": {**usage, "output_tokens": OUTPUT}},
                })  # fmt: skip
            case "codex":
                total = self._count_session(cell)
                usage = {"input_tokens": INPUT * total, "cached_input_tokens": CACHED * total,
                         "output_tokens": OUTPUT * total}  # fmt: skip
                info = {"total_token_usage": usage}
                name = f"rollout-2026-11-30T00-00-00-{self.session}.jsonl"
                self._record(".codex/sessions/2026/11/30", name, {
                    "type": "event_msg", "payload": {"type": "token_count", "info": info},
                })  # fmt: skip
            case "gemini":
                self.say(type="message", role="assistant", content="I work.", delta=True)
            case "opencode":
                tokens = {"input": INPUT - CACHED, "output": OUTPUT, "cache": {"read": CACHED}}
                self.say(type="step_start", sessionID=self.session, part={})
                self.say(type="step_finish", sessionID=self.session,
                         part={"reason": "tool-calls", "tokens": tokens, "cost": USD})  # fmt: skip

    def finish(self, end: str, made: int) -> int:
        """Its last words; returns its exit code."""
        word, _, seconds = end.partition(" ")
        ok = word == "ok"
        texts = {
            "ok": "All done.",
            "503": "API Error: 503 Service Unavailable",
            "lost": "Unable to connect. ECONNREFUSED",
            "refused": "401 Unauthorized: invalid api key",
            "limit": f"You exceeded your current quota. Please retry in {seconds}s.",
        }
        text = texts[word]
        match self.dialect:
            case "claude":
                if word == "limit":
                    info = {"status": "rejected", "resetsAt": time.time() + float(seconds)}
                    self.say(type="rate_limit_event", rate_limit_info=info)
                usage = {"input_tokens": (INPUT - CACHED) * made, "output_tokens": OUTPUT * made,
                         "cache_read_input_tokens": CACHED * made}  # fmt: skip
                self.say(
                    type="result", subtype="success", is_error=not ok, result=text,
                    session_id=self.session, total_cost_usd=USD * made, usage=usage,
                )  # fmt: skip
            case "codex" if ok:
                total = self._count_session()
                usage = {"input_tokens": INPUT * total, "cached_input_tokens": CACHED * total,
                         "output_tokens": OUTPUT * total}  # fmt: skip
                self.say(type="turn.completed", usage=usage)
            case "codex":
                self.say(type="turn.failed", error={"message": text})
            case "gemini":
                stats = {"input_tokens": INPUT * made, "cached": CACHED * made,
                         "output_tokens": OUTPUT * made}  # fmt: skip
                status = {"status": "success"} if ok else {
                    "status": "error", "error": {"message": f"[API Error: {text}]"}}  # fmt: skip
                self.say(type="result", **status, stats=stats)
                return 0 if ok else 173 if word == "limit" else 1
            case "opencode" if ok:
                self.say(type="step_finish", sessionID=self.session, part={"reason": "stop"})
            case "opencode":
                self.say(type="error", sessionID=self.session, error={"data": {"message": text}})
        return 0 if ok else 1

    def _count_session(self, _cell: str = "") -> int:
        lines = (self.place / "server.jsonl").read_text().splitlines()
        return sum(json.loads(line)["session"] == self.session for line in lines)

    def _record(self, folder: str, name: str, record: dict[str, Any]) -> None:
        path = Path(os.environ["HOME"], folder)
        path.mkdir(parents=True, exist_ok=True)
        with (path / name).open("a") as stream:
            stream.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    sys.exit(main())
