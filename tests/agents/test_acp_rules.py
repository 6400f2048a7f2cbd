"""ACP, the pure parts: commands in a line, permissions, models, logins, usage."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from orchestr.agents.acp.failures import describe_request_error, find_key_method, is_login_wanted
from orchestr.agents.acp.models import ModelChoice, choose_model
from orchestr.agents.acp.permission_rules import (
    choose_option,
    judge_command,
    judge_path,
    judge_tool_call,
)
from orchestr.agents.acp.request import ClientRequest, read_client_request
from orchestr.agents.acp.shell_words import split_commands
from orchestr.agents.acp.updates import UsageCounter, normalise_usage, read_turn_usage
from orchestr.agents.events import MOST_TOKENS, amount_or_none, count_or_zero
from orchestr.agents.permissions import DENIED, UNIVERSAL

HEREDOC = "git commit -m \"$(cat <<'EOF'\nit's (done); curl x\nEOF\n)\" && make"


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        ("cd a && X=1 make -j2 2>&1 | tail -5", [("cd", "a"), ("make", "-j2"), ("tail", "-5")]),
        ("echo $(date +%s) `whoami`", [("date", "+%s"), ("whoami",), ("echo", "_", "_")]),
        ("echo '$(curl x)' > out", [("echo", "$(curl x)")]),
        (HEREDOC, [("cat",), ("git", "commit", "-m", "_"), ("make",)]),
        ("bash -lc 'curl x | sh'", [("curl", "x"), ("sh",)]),
        ("for x in a b; do go test $x; done", [("go", "test", "$x")]),
        ("if true; then make; else ls; fi", [("true",), ("make",), ("ls",)]),
        ("timeout 60 env A=1 make", [("make",)]),
        ("ls # it's\ncurl x", [("ls",), ("curl", "x")]),
        ("grep ';' f", [("grep", "_", "f")]),
        ("diff <(sort a) b", [("sort", "a"), ("diff", "_", "b")]),
        ("echo $((1 + 2)); make", [("echo", "_"), ("make",)]),
        ("cat <<EOF\n(it's)\n$(curl 'x')\nEOF\nls", [("curl", "x"), ("cat",), (":", "_"), ("ls",)]),
        (
            HEREDOC.replace("'EOF'", "EOF").replace("curl x", "`curl $(x)`"),
            [
                ("x",),
                ("curl", "_"),
                ("cat",),
                (":", "_"),
                ("git", "commit", "-m", "_"),
                ("make",),
            ],
        ),
        ("cat <<'EOF'\n$(curl x)\nEOF", [("cat",)]),
        ("trap 'curl x' EXIT; ls", [("curl", "x"), ("ls",)]),
        ("", []),
    ],
)
def test_commands_of_a_line(line: str, commands: list[tuple[str, ...]]) -> None:
    assert list(split_commands(line) or ()) == commands


@pytest.mark.parametrize("line", ['echo "a', "echo 'a", "bash -c"])
def test_a_line_that_cannot_be_read(line: str) -> None:
    assert split_commands(line) is None


@pytest.fixture
def asked(tmp_path: Path) -> ClientRequest:
    """A worktree with a file and a link out of it, a folder to read, and a place for an answer."""
    worktree = tmp_path / "tree"
    worktree.mkdir()
    (worktree / "a.txt").write_text("a\n")
    (tmp_path / "up").mkdir()
    (worktree / "out").symlink_to(tmp_path)
    return ClientRequest(
        ("x",), str(worktree), allowed=(*UNIVERSAL, "make"), denied=DENIED,
        read=(str(tmp_path / "up"),), write=(str(tmp_path / "plan.md"),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("git add -A && git commit -m 'x; y'", ""),
        ("make test | tail", ""),
        ("git push", "`git push`"),
        ("ls; git -C . push origin", "`git push`"),
        ("/usr/bin/git push", "`git push`"),
        ("echo $(curl x)", "'curl'"),
        ("make && sh evil.sh", "'sh'"),
        ("echo 'a", "cannot be read"),
    ],
)
def test_commands_by_our_rules(asked: ClientRequest, line: str, why: str) -> None:
    decision = judge_command(line, asked)
    assert decision.allowed is (not why)
    assert why in decision.why


def test_files_by_where_they_lead(asked: ClientRequest, tmp_path: Path) -> None:
    def may(path: str, write: bool) -> bool:
        return judge_path(path, asked, write=write).allowed

    assert may("a.txt", True) and may(str(tmp_path / "tree" / "new" / "b.txt"), True)
    assert not may("../other", False) and not may("/etc/passwd", False)
    assert not may("out/x", True) and not may("out/x", False)  # a link that leads out
    assert may(str(tmp_path / "up" / "x"), False) and not may(str(tmp_path / "up" / "x"), True)
    assert may(str(tmp_path / "plan.md"), True) and not may(
        str(tmp_path / "tree/.git/config"), True
    )
    reader = ClientRequest(("x",), asked.worktree, edit=False, write=asked.write)
    assert judge_path("a.txt", reader, write=False).allowed
    assert not judge_path("a.txt", reader, write=True).allowed
    assert judge_path(str(tmp_path / "plan.md"), reader, write=True).allowed


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        ({"kind": "execute", "rawInput": {"command": "make"}}, True),
        ({"kind": "execute", "rawInput": {"command": ["bash", "-lc", "git push"]}}, False),
        ({"kind": "execute", "title": "ls -l"}, True),  # gemini: the title is the command
        ({"kind": "execute", "title": "List all", "rawInput": {"x": 1}}, False),
        ({"kind": "edit", "locations": [{"path": "a.txt"}]}, True),
        ({"kind": "edit", "rawInput": {"file_path": "/etc/x"}, "locations": []}, False),
        ({"kind": "edit", "content": [{"type": "diff", "path": "out/x"}]}, False),
        ({"kind": "edit", "title": "Edit"}, False),
        ({"kind": "read", "locations": [{"path": "/etc/passwd"}]}, False),
        ({"kind": "search"}, True),
        ({"kind": "fetch", "rawInput": {"url": "http://x"}}, False),
        ({"kind": "switch_mode"}, False),
        ({"kind": "other", "title": "an MCP tool"}, False),
        ({"rawInput": {"path": "a.txt"}}, True),
        ({"rawInput": 7, "locations": "x", "content": [None, 3]}, False),
    ],
)
def test_tools_by_our_rules(asked: ClientRequest, call: dict[str, Any], allowed: bool) -> None:
    decision = judge_tool_call(call, asked)
    assert decision.allowed is allowed
    assert bool(decision.why) is not allowed


def test_the_answer_is_for_once_and_no_more_than_is_offered(asked: ClientRequest) -> None:
    yes, no = judge_command("ls", asked), judge_command("curl", asked)
    offered = [{"optionId": k, "kind": k} for k in ("allow_always", "allow_once", "reject_always")]
    assert choose_option(offered, yes) == "allow_once"
    assert choose_option(offered, no) == "reject_always"
    assert choose_option(offered[:2], no) is None


def test_the_request_is_read_as_it_was_written(asked: ClientRequest, tmp_path: Path) -> None:
    path = tmp_path / "acp.json"
    path.write_bytes(asked.encode())
    assert read_client_request(path) == asked


OPTION = {"id": "model", "category": "model", "currentValue": "a/one",
          "options": [{"group": "g", "options": [{"value": "a/one", "name": "One"}]},
                      {"value": "b/two", "name": "Two"}]}  # fmt: skip
EARLIER = {"models": {"currentModelId": "one",
                      "availableModels": [{"modelId": "one", "name": "One"},
                                          {"modelId": "two", "name": "Two"}]}}  # fmt: skip


@pytest.mark.parametrize(
    ("opened", "wanted", "choice"),
    [
        ({"configOptions": [{"id": "mode"}, OPTION]}, "Two", ModelChoice("b/two", "model")),
        ({"configOptions": [OPTION]}, "one", ModelChoice("a/one", "model", True)),
        ({"configOptions": [OPTION]}, "b/two", ModelChoice("b/two", "model")),
        (EARLIER, "two", ModelChoice("two", "")),
    ],
)
def test_the_model_is_chosen(opened: dict[str, Any], wanted: str, choice: ModelChoice) -> None:
    assert choose_model(opened, wanted) == choice


def test_a_model_that_is_not_offered_is_no_other_one() -> None:
    assert "it has: a/one, b/two" in choose_model({"configOptions": [OPTION]}, "three").problem
    assert "no choice" in choose_model({}, "three").problem


class Refused(Exception):
    code = -32000
    data: ClassVar[Any] = {"details": "log in first"}


def test_a_key_logs_in_and_a_browser_does_not() -> None:
    methods = [{"id": "oauth", "name": "Browser"}, {"id": "gemini-api-key", "name": "Key"},
               {"id": "k", "type": "env_var", "vars": [{"name": "A"}, {"name": "B"}]}]  # fmt: skip
    assert find_key_method(methods, {}) is None
    assert find_key_method(methods, {"GEMINI_API_KEY": "x"}) == "gemini-api-key"
    assert find_key_method(methods, {"A": "x"}) is None
    assert find_key_method(methods, {"A": "x", "B": "y"}) == "k"
    assert is_login_wanted(Refused("Authentication required"))
    assert not is_login_wanted(Refused("Rate limit reached"))
    text = describe_request_error(Refused("Authentication required"))
    assert text == "Authentication required: log in first"


@pytest.mark.parametrize(
    ("raw", "found"),
    [  # with the cached ones in the input, as copilot and qwen count, and apart from it, as claude
        ({"inputTokens": 1000, "cachedReadTokens": 200, "outputTokens": 50, "totalTokens": 1050},
         (1000, 200, 50)),
        ({"inputTokens": 800, "cachedReadTokens": 200, "outputTokens": 50, "totalTokens": 1050},
         (1000, 200, 50)),
        ({"inputTokens": 800, "cachedReadTokens": 200, "outputTokens": 50, "thoughtTokens": 7},
         (1000, 200, 57)),
        ({"inputTokens": 10, "outputTokens": 5, "thoughtTokens": 7, "totalTokens": 22},
         (10, 0, 12)),
    ],
)  # fmt: skip
def test_tokens_count_the_cached_ones_once(raw: Any, found: tuple[int, int, int]) -> None:
    assert tuple(normalise_usage(raw).values()) == found
    assert read_turn_usage({"usage": raw}) == normalise_usage(raw)


def test_what_is_no_usage_counts_nothing() -> None:
    for raw in (None, {}, [], {"inputTokens": "x"}, {"inputTokens": True}):
        assert normalise_usage(raw) == {}
    quota = {"_meta": {"quota": {"token_count": {"input_tokens": 4, "output_tokens": 2}}}}
    assert read_turn_usage(quota) == {"input": 4, "cached": 0, "output": 2}  # gemini


def test_the_cost_of_a_session_counts_once() -> None:
    def update(amount: Any, currency: str = "USD") -> dict[str, Any]:
        return {"used": 10, "cost": {"amount": amount, "currency": currency}}

    counter = UsageCounter(spent_usd=0.25)
    assert counter.add_update(update(0.5), restored=False) == (10, 0.25)
    assert counter.add_update(update(0.5), restored=False) == (0, 0.0)  # said twice
    assert counter.add_update({**update(9, "EUR"), "used": 11}, restored=False) == (11, None)
    assert counter.add_update({**update("x"), "used": 12}, restored=False) == (12, None)
    assert counter.add_update(update(0.1), restored=False) == (10, 0.0)  # it goes back
    assert counter.add_update(update(float("inf")), restored=False) == (0, None)
    assert counter.cost_usd == 0.25
    assert counter.add_update({"used": 10**400}, restored=False) == (MOST_TOKENS, None)
    loaded = UsageCounter()
    assert loaded.add_update(update(0.5), restored=True) == (0, None)  # told again at a load
    assert loaded.add_update(update(0.75), restored=False) == (10, 0.25)


def test_figures_without_a_measure_are_none() -> None:
    """A number of a thousand digits has no float: it must not end who adds up what was taken."""
    assert count_or_zero(10**400) == MOST_TOKENS and count_or_zero(float("nan")) == 0
    assert amount_or_none(10**400) is None and amount_or_none(7) == 7.0
