"""The one place where these tests call into the package: kind of record -> who reads it.

Whoever moves or renames a reader changes this file and no other. `READERS` maps a kind (a folder of
`records/`) to a function from the folder of an example to what is read there. `plain` makes JSON
values of it; what was read before must come out again, field by field, under the same names.

A few readers of the version before are private there (marked below): no public one gives the
record alone, only inside of a whole run.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from orchestr.agents import AGENT_KINDS
from orchestr.agents.usage import tally_transcript
from orchestr.cell import amendment, approval
from orchestr.cell.agent import run_agent, verdict
from orchestr.cell.phases import cross_checks
from orchestr.cell.slots import ProviderPause
from orchestr.checks.cache import ResultCache, result_from_dict
from orchestr.files import read_json, read_toml
from orchestr.forges import pr_files
from orchestr.landing import queue
from orchestr.landing.journal import LandingJournal
from orchestr.process.lease import read_lease
from orchestr.settings.records import AgentSettings, WorkspaceSettings
from orchestr.spec import cache as spec_cache
from orchestr.spec.checks import Gate
from orchestr.state import attempts, repairs
from orchestr.state.events import Event, EventKind
from orchestr.state.journal import Journal, parse_event
from orchestr.state.registry import Registry
from orchestr.state.replay import median_durations, replay, reset_interrupted
from orchestr.state.results import (
    Evidence,
    HeadRecord,
    ImplementRecord,
    PlanRecord,
    PublishRecord,
    WorktreeMarker,
    read_tree,
    read_url,
    valid_checks,
)
from orchestr.state.timeline import make_timeline
from orchestr.supervisor import client
from orchestr.supervisor.protocol import read_exit, read_launch, read_supervisor_record

Reader = Callable[[Path], Any]


def plain(value: Any) -> Any:
    """Any value of the package as JSON has it: records by field, enums by value, sets sorted."""
    if isinstance(value, Enum):
        return plain(value.value)
    if hasattr(value, "__struct_fields__"):  # a msgspec struct
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(plain(key))


# --- records ------------------------------------------------------------------------------------


def _attempts(folder: Path) -> Any:
    numbers = [*attempts.attempt_numbers(folder), *attempts.plan_numbers(folder)]
    return {
        "records": {n: attempts.read_attempt(folder, n) for n in numbers},
        "open": {n: r.is_open for n in numbers if (r := attempts.read_attempt(folder, n))},
        "marker": {
            n: r.process_marker("f/c") for n in numbers if (r := attempts.read_attempt(folder, n))
        },
        "newest": attempts.newest_attempt(folder),
        "newest_plan": attempts.newest_plan(folder),
        "current": attempts.current_attempt(folder),
        "fresh_request": attempts.fresh_request(folder),
    }


def _rounds(folder: Path) -> Any:
    found = repairs.read_rounds(folder, 1)
    return {
        "records": found,
        "open": repairs.find_open_round(found),
        "series of check": repairs.current_series(found, "check", "1" * 40),
    }


def _supervised(folder: Path) -> Any:
    """The files between engine and supervisor; each may be missing."""
    launch = read_launch(folder) if (folder / "launch.json").exists() else None
    return {
        "launch": launch,
        "presence": read_supervisor_record(folder),
        "exit": read_exit(folder),
        "state": client.read_attempt_state(folder),
    }


def _evidence(folder: Path) -> Any:
    checks = Evidence.read(folder / "checks.json")
    review = Evidence.read(folder / "review.json")
    return {"checks": checks, "review": review, "valid": valid_checks(checks, review)}


def _opinion(folder: Path) -> Any:
    work = run_agent.reviewer_work(folder, 1)
    answer = read_json(folder / "opinion.json")
    return {
        "agent": work.agent,
        "told": work.event_data,
        "opinion": None if answer is None else verdict.opinion_from_row(answer),
    }


def _landing_book(folder: Path) -> Any:
    events = list(LandingJournal(folder / "queue.jsonl").read())
    return {
        "events": [{"event": type(event).__name__, "fields": event} for event in events],
        "queue": queue.replay(events),
    }


def _forge(folder: Path) -> Any:
    comments = {p.name: read_json(p) for p in sorted(folder.glob("*.comments.json"))}
    names = [f"refs/pull/{n}/head" for n in (1, 12)]
    return {
        "prs": pr_files.read_pull_requests(folder),
        "comments": comments,
        "next": pr_files.next_number(folder, names),
    }


def _spec_cache(folder: Path) -> Any:
    """A cache of an earlier version may be passed over (None), never misread."""
    key = json.loads((folder / "key.json").read_text())
    return spec_cache.load(folder, key["name"], key["key"])


def _check_cache(folder: Path) -> Any:
    """The same holds here; ``row`` is how a result was kept."""
    key = json.loads((folder / "key.json").read_text())
    found = ResultCache(folder).load(key["key"])
    return {"loaded": found, "row": result_from_dict(key["row"])}


def _pause(folder: Path) -> Any:
    names = sorted(p.name[len("pause-") : -len(".json")] for p in folder.glob("pause-*.json"))
    return {name: ProviderPause(folder, name, 30.0, 600.0).paused_until() for name in names}


def _agent(kind: str) -> Any:
    root = Path("/ws")
    places = WorkspaceSettings(root, root / "specs", root / ".o", root / ".o/worktrees", root)
    return AGENT_KINDS.load(kind).make(AgentSettings(kind, kind, run=("true",)), places)


def _transcripts(folder: Path) -> Any:
    """What each agent's stream adds up to: the figures of the budget and of the ledger."""
    found = {}
    for path in sorted(folder.glob("*.jsonl")):
        sums = tally_transcript(path, _agent(path.stem.partition("-")[0]).parse_line)
        found[path.stem] = {
            "session": sums.session_id,
            "total": sums.total_usage,
            "cost_usd": sums.cost_usd,
            "known_usd": sums.known_usd,
            "result": sums.result,
            "limit": sums.limit,
            "error": sums.error,
            "last": sums.last,
            "tools": sums.tools,
        }
    return found


def _raw(folder: Path) -> Any:
    """Small files that are read by key where they are needed: as tables.

    Give a kind a reader of its own as soon as there is a record for it.
    """
    read: dict[str, Callable[[Path], Any]] = {".json": read_json, ".toml": read_toml}
    return {
        p.name: read[p.suffix](p) if p.suffix in read else p.read_text(encoding="utf-8")
        for p in sorted(folder.iterdir())
        if p.is_file()
    }


READERS: dict[str, Reader] = {
    "worktree": WorktreeMarker.read,
    "plan": PlanRecord.read,
    "implement": ImplementRecord.read,
    "evidence": _evidence,
    "head": lambda folder: {"head": HeadRecord.read(folder), "tree": read_tree(folder)},
    "publish": lambda folder: {"record": PublishRecord.read(folder), "url": read_url(folder)},
    "attempts": _attempts,
    "supervised": _supervised,
    "rounds": _rounds,
    "approvals": lambda folder: {str(gate): approval.read_decision(folder, gate) for gate in Gate},
    "amendment": amendment.read_amendment,
    "opinion": _opinion,
    "registry": lambda folder: Registry(folder / "registry.json", folder / "lock").entries(),
    "lease": lambda folder: read_lease(folder / "feature-demo.lock"),
    "landing-book": _landing_book,
    "forge": _forge,
    "spec-cache": _spec_cache,
    "check-cache": _check_cache,
    "pause": _pause,
    "cross-checks": lambda folder: cross_checks._read_results(
        folder / "cross-checks.json"
    ),  # private
    "transcripts": _transcripts,
    "raw": _raw,
}
MAY_BE_PASSED_OVER = {"spec-cache"}  # caches: None, or exactly what was kept


def _write_results(kind: Any) -> Callable[[Path, Path], None]:
    return lambda folder, target: kind.read(folder).write(target)


def _write_evidence(folder: Path, target: Path) -> None:
    for path in folder.glob("*.json"):
        Evidence.read(path).write(target / path.name)


def _write_attempts(folder: Path, target: Path) -> None:
    for number in [*attempts.attempt_numbers(folder), *attempts.plan_numbers(folder)]:
        record = attempts.read_attempt(folder, number)
        if record is not None:
            attempts.write_attempt(target, record)


def _write_rounds(folder: Path, target: Path) -> None:
    for record in repairs.read_rounds(folder, 1):
        repairs.write_round(target, 1, record)


def _write_approvals(folder: Path, target: Path) -> None:
    for gate in Gate:
        record = approval.read_decision(folder, gate)
        if record is not None:
            record.write(target)


def _write_registry(folder: Path, target: Path) -> None:
    """Through a change of an entry and its taking back: what only reads never writes."""
    shutil.copy(folder / "registry.json", target)
    registry = Registry(target / "registry.json", target / "lock")
    for entry in registry.entries():
        registry.touch_phase(entry.key, "other")
        registry.touch_phase(entry.key, entry.last_phase)


def _write_forge(folder: Path, target: Path) -> None:
    for kept in pr_files.read_pull_requests(folder).values():
        pr_files.write_pull_request(target, kept)


WRITERS: dict[str, Callable[[Path, Path], None]] = {
    "worktree": _write_results(WorktreeMarker),
    "plan": _write_results(PlanRecord),
    "implement": _write_results(ImplementRecord),
    "head": _write_results(HeadRecord),
    "publish": _write_results(PublishRecord),
    "evidence": _write_evidence,
    "attempts": _write_attempts,
    "rounds": _write_rounds,
    "approvals": _write_approvals,
    "amendment": lambda folder, target: amendment.read_amendment(folder).write(target),
    "registry": _write_registry,
    "forge": _write_forge,
}

# --- journals -----------------------------------------------------------------------------------

KINDS = [str(kind) for kind in EventKind]


def read_event(line: bytes) -> Any:
    """One line of a journal as a record with the fields kind, ts, run, feature, cell, phase,
    attempt, data; None for a line that counts for nothing."""
    event = parse_event(line)
    return None if event is None else _envelope(event)


def _envelope(event: Event) -> Any:
    return plain(event)


def read_events(path: Path) -> list[Event]:
    """The events of a journal, as `views_of` takes them."""
    return list(Journal(path).read())


def views_of(events: Iterable[Event]) -> dict[str, Any]:
    """All that is made of a journal: the replayed view, what it is once nobody runs it, the
    weights of the plan, the timeline."""
    kept = list(events)
    view = replay(kept)
    return {
        "events": len(kept),
        "view": _view(view),
        "at_rest": _view(reset_interrupted(view, live=False)),
        "durations": median_durations(kept),
        "timeline": plain(make_timeline(kept, {"high": ["low"]})),
    }


def _view(view: Any) -> dict[str, Any]:
    """The fields, and what is derived from them for people."""
    found: dict[str, Any] = plain(view)
    for name, cell in view.cells.items():
        found["cells"][name]["derived"] = {
            "at_work": cell.agents_at_work,
            "cost_usd": cell.cost_usd,
            "cost_known_usd": cell.cost_known_usd,
            "tokens_total": plain(cell.tokens_total),
            "partial": cell.is_partial,
        }
    found["state"] = str(view.compute_state(sorted(view.cells)))
    return found
