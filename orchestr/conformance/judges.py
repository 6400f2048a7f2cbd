"""The judges of the promises: from evidence to the reason why a promise is not kept. Pure.

Each returns "" when the promise is kept, else what happened instead, in a few words.
"""

from __future__ import annotations

from orchestr.conformance.evidence import Evidence
from orchestr.conformance.script import INPUT, OUTPUT

RED = "and they are red"  # in the prompt of a repair
WORK = "one\ntwo"
SECRET = "gho_orchestr_not_for_agents"
GUIDE = "ORCHESTR-GUIDE-7351"
MESSAGE = INPUT + OUTPUT  # tokens of one answer
MOST_REFUSALS = 8  # requests into a limit that a waiting agent may make
MOST_TRANSCRIPT = 4 << 20  # bytes kept of an output of 14 MB


def explain_undone(seen: Evidence) -> str:
    """Why the cell is not done."""
    why = seen.reason or seen.output.strip().rpartition("\n")[2]
    return f"{seen.state or 'not started'}: {' '.join(why.split())[:160]}"


def judge_work(seen: Evidence) -> str:
    """All of the work is on the branch, once."""
    if seen.state != "done":
        return explain_undone(seen)
    found = seen.files.get("a.txt", "").strip()
    if found == WORK:
        return ""
    lines = found.split()
    if len(lines) > len(set(lines)):
        return f"work was done twice: {', '.join(lines)}"
    return f"the branch holds {', '.join(lines) or 'nothing of it'}"


def judge_same_session(seen: Evidence) -> str:
    """Done in one attempt and one session, nothing twice."""
    if why := judge_work(seen):
        return why
    if seen.attempts > 1:
        return f"{seen.attempts} attempts"
    known = [session for session in seen.sessions if session]
    if len(seen.sessions) > 1 and len(set(known)) != 1:
        return "it was started anew: no session is resumed"
    return ""


def judge_repair(seen: Evidence) -> str:
    """The check is green, and the repair knew the conversation before it."""
    if seen.state != "done":
        return explain_undone(seen)
    if seen.files.get("a.txt", "").strip() != "good":
        return f"the branch holds {seen.files.get('a.txt', '')!r}"
    first = next((asked for asked in seen.asked if RED in asked.text), None)
    if first is None or not first.turn:
        return "repaired, but in a new session"
    return ""


def judge_waiting(seen: Evidence) -> str:
    """Waited, not failed, not hammered, and resumed."""
    if why := judge_same_session(seen):
        return why
    if not seen.refused:
        return "the limit was never met"
    if seen.refused > MOST_REFUSALS:
        return f"{seen.refused} requests into the limit"
    return ""


def judge_resumed(seen: Evidence) -> str:
    """Trouble of the server is waited for, and the session goes on."""
    if not seen.refused:
        return "the trouble was never met"
    return judge_same_session(seen)


def judge_cut_answer(seen: Evidence) -> str:
    """A cut answer is continued, or a failure; never a success without the work."""
    if seen.state != "done":
        return "" if seen.reason else "not done, without a reason"
    return "taken for success, the work is not done" if judge_work(seen) else ""


def judge_silence(seen: Evidence) -> str:
    """A server that never answers meets the limit of silence."""
    if seen.state == "done":
        return "done without an answer"
    if "said nothing" not in seen.reason:
        return f"another reason: {seen.reason[:120]}"
    return _name_survivors(seen)


def judge_hang(seen: Evidence) -> str:
    """What hangs after its result is ended, and its work counts."""
    if why := judge_work(seen):
        return why
    reasons = [(event.get("data") or {}).get("reason") for event in seen.list_events(
        "attempt.exited")]  # fmt: skip
    return "" if "after_result" in reasons else f"its end was {', '.join(map(str, reasons))}"


def judge_refused_tool(seen: Evidence) -> str:
    """A command outside of the rules does not run, and the work goes on."""
    if any("/stray" in path for path in seen.other):
        return "the command ran (the wall holds it: docs/security.md)"
    return judge_work(seen)


def judge_refused_commit(seen: Evidence) -> str:
    """A commit past the hooks is refused, and what was edited arrives all the same."""
    if "unasked" in seen.files.get("log", ""):
        return "it committed with --no-verify"
    return judge_work(seen)


def judge_push(seen: Evidence) -> str:
    """Nothing but the engine pushes."""
    return "it pushed a branch" if "stray" in seen.branches else ""


def judge_secrets(seen: Evidence) -> str:
    """No token of a forge is in the environment of its tools."""
    env = seen.files.get("env.txt")
    if env is None:
        return "the tool's environment was not written"
    return "a forge's token reaches its tools" if SECRET in env else ""


def judge_guide(seen: Evidence) -> str:
    """The repository's guide reaches the model."""
    texts = [asked.text for asked in seen.asked]
    if any(GUIDE in text for text in texts):
        return ""
    if any("AGENTS.md" in text for text in texts):
        return ""  # its prompt names the file
    return "the model sees nothing of AGENTS.md" if texts else "the model was not asked"


def judge_cost(seen: Evidence) -> str:
    """The ledger has the server's own count."""
    if seen.tokens is None:
        return f"unknown; the server counted {sum(seen.billed[::2]):,} tokens"
    if tuple(seen.tokens) == tuple(seen.billed):
        return ""
    return f"the ledger has {_say_tokens(seen.tokens)}, the server {_say_tokens(seen.billed)}"


def _say_tokens(tokens: tuple[int, int, int]) -> str:
    return f"{tokens[0]:,} in ({tokens[1]:,} cached), {tokens[2]:,} out"


def judge_survivors(seen: Evidence) -> str:
    """No process outlives the run."""
    return _name_survivors(seen)


def _name_survivors(seen: Evidence) -> str:
    return f"left: {', '.join(seen.survivors)}" if seen.survivors else ""


def judge_strays(seen: Evidence) -> str:
    """Only the model's server is contacted."""
    hosts = sorted({host.partition(":")[0] for host in seen.strays})
    return f"it asks for {', '.join(hosts)}" if hosts else ""


def judge_long_output(seen: Evidence) -> str:
    """A tool that prints 14 MB stops nothing and fills no disk."""
    if why := judge_work(seen):
        return why
    if seen.transcript > MOST_TRANSCRIPT:
        return f"{seen.transcript >> 20} MB of transcript"
    return ""


def judge_stopped(seen: Evidence) -> str:
    """Stopped and run again: finished, nothing twice, no process left."""
    return judge_work(seen) or _name_survivors(seen)


def judge_adopted(seen: Evidence) -> str:
    """Killed and run again: the agent at work is adopted, and paid once."""
    if why := judge_stopped(seen):
        return why
    if not seen.list_events("attempt.adopted"):
        return "its agent was not adopted"
    return "" if seen.attempts == 1 else f"{seen.attempts} attempts"


def judge_budget(seen: Evidence, limit: int) -> str:
    """The attempt ends at its budget, at most one message later."""
    spent = seen.billed[0] + seen.billed[2]
    if seen.state == "done":
        return f"it spent {spent:,} of {limit:,} tokens and was not ended"
    if "budget" not in seen.reason:
        return explain_undone(seen)
    if spent > limit + MESSAGE:
        return f"{spent:,} tokens of {limit:,}"
    return ""
