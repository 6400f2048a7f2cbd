"""The real programs: a failing server, a budget, a stop; guides, contacts, the ledger."""

from __future__ import annotations

import signal
import time

import pytest

from tests.agents.conftest import MakeHouse
from tests.agents.house import AgentHouse
from tests.agents.kit import KINDS
from tests.agents.model_server import Asked, Fault, Run, Say
from tests.conftest import Sandbox
from tests.e2e.workspace import PATIENCE

pytestmark = pytest.mark.slow

PRICES = {"price_input_usd": 1.0, "price_output_usd": 10.0}
QUICK = {"retry_after": "1s", "retry_max": "1s"}
FEW = {"CLAUDE_CODE_MAX_RETRIES": "1"}
TURNS = [Run("echo one > a.txt"), Run("echo two > a.txt"), Say("Done.")]


def few_retries(ws: AgentHouse, kind: str) -> None:
    """codex tries again for long by itself; the others have a variable or are set already."""
    if kind == "codex":
        path = ws.home / ".codex" / "config.toml"
        path.write_text(path.read_text() + "request_max_retries = 1\nstream_max_retries = 1\n")


def count_answers(ws: AgentHouse) -> dict[str, int]:
    """The server's own count, of answers that it gave."""
    read, _, written = ws.model.tokens
    return {"input": read, "output": written}


def count_tokens(ws: AgentHouse) -> dict[str, int]:
    """The ledger's."""
    tokens = ws.status()["a"]["tokens"]
    return {name: tokens[name] for name in ("input", "output")}


@pytest.mark.parametrize("kind", ["claude", "codex", "gemini"])
def test_a_storm_is_waited_for_in_the_session(house: MakeHouse, kind: str) -> None:
    faults: list[int] = []

    def fault(asked: Asked, number: int) -> Fault | None:
        if asked.turn != 1 or len(faults) >= 5:
            return None
        faults.append(number)
        return Fault(503)

    ws = house(kind, TURNS, fault=fault, agent={**QUICK, **(PRICES if kind != "claude" else {})})
    few_retries(ws, kind)
    ws.run("run", "demo", "--yes", code=0, env=FEW)
    assert ws.show("a", "a.txt") == "two"
    assert [e["attempt"] for e in ws.journal(kind="attempt.opened")] == [1]
    assert len({e["data"]["session"] for e in ws.journal(kind="attempt.exited")}) == 1
    assert len(ws.journal(kind="attempt.limited")) >= 1
    assert count_tokens(ws) == count_answers(ws)


@pytest.mark.parametrize("kind", ["codex", "gemini"])
def test_a_budget_holds_an_agent_that_tells_its_tokens_at_the_end(
    house: MakeHouse, kind: str
) -> None:
    """The budget is that of three answers, and the model gives no fourth: no answer is on its way
    when the agent is ended, so the two counts can be equal."""

    def fault(_asked: Asked, number: int) -> Fault | None:
        return Fault(500, hang=PATIENCE) if number >= 3 else None

    turns = [*(Run(f"echo {n} > {n}.txt") for n in range(40)), Say("Done.")]
    limits = {"attempt_usd": 0.004, "grace": "1s"}
    ws = house(kind, turns, agent=PRICES, fault=fault, settings={"limits": limits})
    ws.run("run", "demo", "--yes", code=1)
    assert "the budget of attempt 1 is reached" in ws.status()["a"]["reason"]
    assert ws.model.answers == 3
    assert count_tokens(ws) == count_answers(ws)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_agent_goes_on_and_all_is_counted(house: MakeHouse, kind: str) -> None:
    turns = [Run("echo one > a.txt"), Run("echo two > b.txt && sleep 60"), Say("Done.")]
    ws = house(kind, turns, settings={"repos": {"app": {"tools": ["sleep"]}},
                                      "limits": {"grace": "2s"}})  # fmt: skip
    child = ws.spawn("run", "demo", "--yes")
    end = time.monotonic() + PATIENCE
    while not (ws.worktree("a") / "b.txt").exists():  # the second answer is being carried out
        assert child.poll() is None, child.said()
        assert time.monotonic() < end, child.said()
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    child.wait()
    ws.model.script = [Run("echo one > a.txt"), Say("Done."), Say("Done.")]
    ws.run("run", "demo", "--yes", code=0)
    assert [e["attempt"] for e in ws.journal(kind="attempt.opened")] == [1]
    assert len({e["data"]["session"] for e in ws.journal(kind="attempt.exited")}) == 1
    if kind != "opencode":  # it tells the tokens of an answer when its tools have ended
        assert count_tokens(ws) == count_answers(ws)


@pytest.mark.parametrize("kind", KINDS)
def test_guides_reach_the_model_and_nobody_else_is_contacted(house: MakeHouse, kind: str) -> None:
    ws = house(kind, TURNS)
    Sandbox(ws.repos / "app", None).commit({"AGENTS.md": "Be kind.\n"}, "a guide", push=True)
    proxy = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), ws.model.url)
    ws.run("run", "demo", "--yes", code=0, env=proxy)
    assert "AGENTS.md" in ws.model.asked[0].text
    # opencode asks the registry for the package of a provider that is not its own.
    assert set(ws.model.tunnels) <= ({"registry.npmjs.org:443"} if kind == "opencode" else set())
    # A title would be asked for, too: paid, and in no count.
    assert not [path for path in ws.model.other if path.endswith("/chat/completions")]
    assert "Warning" not in ws.transcript().split("echo one")[0]
