"""Landing real repositories through the program: order, strategies, conflicts, repairs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.landing.house import CHAIN, FEATURE, Yard, both, git

pytestmark = pytest.mark.slow


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard.ready(tmp_path / "w")
    yield made
    made.end()


def named(preview: str) -> list[str]:
    """The cells of a preview, in its order."""
    return [line.split()[1] for line in preview.partition("\n\n")[0].splitlines()[1:]]


def test_a_feature_lands_in_order_and_stays_landed(yard: Yard) -> None:
    dry = yard.run("land", FEATURE, "--dry-run", code=0)
    assert named(dry.stdout) == ["low", "high", "far"]
    assert yard.run("plan", FEATURE, "--land", code=0).stdout == dry.stdout
    assert yard.history() == [] and not yard.checks()
    assert not (yard.root / ".orchestr/landing/queue.jsonl").exists()
    done = yard.run("land", FEATURE, code=0)
    assert done.stdout.endswith("3 landed, 0 not\n")
    assert yard.history() == ["low", "high"] and yard.history("web") == ["far"]
    yard.landed()
    order = [row["spec"]["parts"][0][0] for row in yard.queue_events("Landed")]
    assert order.index("demo/low") < min(order.index("demo/high"), order.index("demo/far"))
    assert [row["group"] for row in yard.queue_events("GroupOpened")] == ["demo"]
    assert not list((yard.root / ".orchestr/worktrees/demo").iterdir())
    # Again: nothing is left to do, for both.
    checks, heads = yard.checks(), yard.heads()
    yard.run("land", FEATURE, code=0)
    assert yard.run("run", FEATURE, code=0).stdout.startswith("nothing to be done")
    assert (yard.checks(), yard.heads()) == (checks, heads)


@pytest.mark.parametrize("strategy", ["squash", "rebase", "fast-forward"])
def test_strategies(yard: Yard, strategy: str) -> None:
    yard.run("land", FEATURE, "--strategy", strategy, code=0)
    bare = yard.repos / "app.git"
    assert git(bare, "log", "--merges", "--format=%s", "main") == ""
    assert yard.files() == ["README.md", "high.txt", "low.txt"]
    if strategy == "fast-forward":
        assert yard.main() == yard.head("high")
    else:
        assert yard.history() == ["low", "high"]
    yard.landed()


def test_a_batch_lands_as_one_push_and_a_red_one_is_halved(tmp_path: Path) -> None:
    cells = {name: {} for name in ("a", "b", "c", "d")}
    yard = Yard.ready(
        tmp_path / "w", cells, landing={"batch": 4, "repairs": 0}, repos=("app",),
        scripts={"c": "echo bad > bad.txt\n"},
    )  # fmt: skip
    done = yard.run("land", FEATURE, code=1)
    assert yard.history() == ["a", "b", "d"], both(done)
    assert yard.states() == {"a": "landed", "b": "landed", "c": "needs_person", "d": "landed"}
    assert [len(row["spec"]["parts"]) for row in yard.queue_events("Landed")] == [2, 1]
    assert sum(line.endswith("red") for line in yard.checks()) >= 2


def test_a_target_that_moved_is_taken_in_and_checked_again(yard: Yard) -> None:
    yard.somebody_pushes({"other.txt": "of somebody\n"})
    yard.run("land", FEATURE, code=0)
    assert yard.history() == ["(somebody else's)", "low", "high"]
    assert "other.txt" in yard.files()
    yard.landed()


def test_a_target_that_moves_while_it_is_checked(yard: Yard) -> None:
    """Somebody's commit comes during the first check: what was checked stands on the old target.

    Straight into the origin's folder, because checks have no way to push.
    """
    bare, mark = yard.repos / "app.git", yard.root / "pushed"
    push = (
        f'if mkdir "{mark}" 2>/dev/null; then cd "{bare}"; git update-ref refs/heads/main '
        '$(git commit-tree "main^{tree}" -p main -m "somebody else\'s"); cd "$OLDPWD"; fi\n'
    )
    (yard.root / "before.sh").write_text(push)
    yard.run("land", FEATURE, code=0)
    assert mark.exists()
    assert yard.history() == ["(somebody else's)", "low", "high"]
    yard.landed()


CONFLICT = {"one": {}, "two": {}}
SAME_LINE = {
    "one": "echo one > shared.txt\n",
    "two": 'if grep -q "<<<<<<<" shared.txt 2>/dev/null; then printf "one\\ntwo\\n" > shared.txt\n'
    "git commit -qam merged; else echo two > shared.txt; fi\n",
}


def test_a_conflict_between_two_cells_is_mended_by_the_agent(tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", CONFLICT, repos=("app",), scripts=SAME_LINE)
    before = yard.head("two")
    done = yard.run("land", FEATURE, code=0)
    assert yard.history() == ["one", "two"], both(done)
    assert git(yard.repos / "app.git", "show", "main:shared.txt") == "one\ntwo"
    assert [e["data"]["trouble"] for e in yard.journal(kind="land.repair")] == ["merge_conflict"]
    git(yard.repos / "app.git", "merge-base", "--is-ancestor", before, "main")  # never rebased
    assert yard.states() == {"one": "landed", "two": "landed"}
    prompt = yard.cell_dir("two") / "attempts" / "2"
    assert any("conflicts with `main`" in p.read_text() for p in prompt.glob("*.txt"))


def test_a_conflict_that_nobody_mends_is_left_to_a_person_and_others_go_on(tmp_path: Path) -> None:
    cells = {**CONFLICT, "three": {}}
    yard = Yard.ready(tmp_path / "w", cells, repos=("app",), scripts=SAME_LINE)
    yard.script("two", "exit 1\n")
    done = yard.run("land", FEATURE, code=1)
    assert sorted(yard.history()) == ["one", "three"], both(done)
    assert yard.states() == {"one": "landed", "two": "merge_conflict", "three": "landed"}
    (told,) = yard.journal(kind="land.parked")
    assert "conflict in shared.txt" in told["data"]["reason"]
    where = yard.worktree("two")
    assert f"git -C {where} status" in told["data"]["hint"]  # the target is half merged there
    assert "orchestr run demo:two && orchestr land demo" in told["data"]["hint"]
    assert "≠ two merge conflict: conflict in shared.txt" in done.stdout
    assert yard.branch("two") in yard.heads()
    # A person mends it on the branch; the same commands go on.
    yard.script("two", "printf 'one\\ntwo\\n' > shared.txt; git add -A; git commit -qm merged\n")
    yard.run("run", FEATURE, code=0)
    yard.run("land", FEATURE, code=0)
    assert git(yard.repos / "app.git", "show", "main:shared.txt") == "one\ntwo"


def test_what_a_repair_made_needs_a_persons_yes_again(tmp_path: Path) -> None:
    """The yes was to another commit: nothing that nobody has seen lands (gate `publish`)."""
    cells: dict[str, dict[str, Any]] = {"one": {}, "two": {"approve": ["publish"]}}
    yard = Yard.ready(tmp_path / "w", cells, repos=("app",), scripts=SAME_LINE, build=False)
    yard.run("run", FEATURE, code=1)
    yard.run("approve", f"{FEATURE}:two", "--yes", code=0)
    yard.run("run", FEATURE, code=0)
    approved = yard.head("two")
    done = yard.run("land", FEATURE, code=1)
    assert yard.history() == ["one"], both(done)
    assert yard.head("two") == approved  # not even pushed
    said = "? two needs approval: its agent mended it; it waits for your approval of what it would"
    assert said in done.stdout
    assert f"    hint:  orchestr approve {FEATURE}:two\n" in done.stdout
    mended = git(yard.worktree("two"), "rev-parse", "HEAD")
    assert mended != approved and yard.states()["two"] == "approval"
    again = yard.run("land", FEATURE, code=1)  # no way around it, and no second repair
    assert yard.history() == ["one"] and len(yard.journal(kind="land.repair")) == 1, both(again)
    assert yard.run("run", FEATURE, code=1)
    yard.run("approve", f"{FEATURE}:two", "--yes", code=0)
    yard.run("run", FEATURE, code=0)
    assert yard.head("two") == mended
    done = yard.run("land", FEATURE, code=0)
    assert yard.history() == ["one", "two"], both(done)
    assert yard.states() == {"one": "landed", "two": "landed"}
    yard.always_green(("app",))


def test_an_agent_that_fails_is_asked_again_within_the_bound(tmp_path: Path) -> None:
    two = SAME_LINE["two"].replace("if grep", 'test "$ORCHESTR_ATTEMPT" != 2 || exit 1\nif grep')
    yard = Yard.ready(tmp_path / "w", CONFLICT, repos=("app",), scripts={**SAME_LINE, "two": two})
    done = yard.run("land", FEATURE, code=0)
    assert yard.history() == ["one", "two"], both(done)
    assert [e["data"]["number"] for e in yard.journal(kind="land.repair")] == [1, 2]


def test_red_is_mended_within_two_repairs(tmp_path: Path) -> None:
    script = (
        'if [ "$ORCHESTR_ATTEMPT" = 1 ]; then echo x > bad.txt\n'
        'elif [ "$ORCHESTR_ATTEMPT" = 2 ]; then echo y > more.txt\n'
        "else git rm -q -f bad.txt; fi\n"
    )
    yard = Yard.ready(tmp_path / "w", {"low": {}, "high": {"depends_on": ["low"]}},
                      repos=("app",), scripts={"low": script})  # fmt: skip
    done = yard.run("land", FEATURE, code=0)
    assert yard.history() == ["low", "high"], both(done)
    assert yard.files() == ["README.md", "high.txt", "more.txt"]
    assert [e["data"]["number"] for e in yard.journal(kind="land.repair")] == [1, 2]
    yard.always_green(("app",))


def test_a_dependent_that_is_not_done_gets_the_new_target_without_a_new_attempt(
    tmp_path: Path,
) -> None:
    yard = Yard.ready(tmp_path / "w", landing={"strategy": "squash", "delete_branches": True})
    yard.spec({**CHAIN, "high": {**CHAIN["high"], "todo": ["something else"]}})
    starts = yard.starts()
    yard.run("land", FEATURE, code=1)
    assert yard.history() == ["low"] and yard.history("web") == ["far"]
    pr = yard.pr("high")
    assert (pr["base"], pr["state"]) == ("main", "open")
    assert git(yard.repos / "app.git", "merge-base", yard.head("high"), "main") == yard.main()
    assert pr["head_sha"] == yard.head("high")
    assert git(yard.worktree("high"), "rev-parse", "HEAD") == yard.head("high")
    assert yard.branch("low") not in yard.heads()
    assert yard.starts() == starts
    yard.spec(CHAIN)
    yard.run("run", FEATURE, code=0)
    yard.run("land", FEATURE, code=0)
    assert yard.history() == ["low", "high"] and yard.starts() == starts
    yard.landed()


@pytest.mark.parametrize("strategy", ["merge", "squash", "rebase", "fast-forward"])
def test_rollback_reverts_exactly_what_landed(yard: Yard, strategy: str) -> None:
    yard.somebody_pushes({"before.txt": "1\n"})
    yard.run("land", FEATURE, "--strategy", strategy, code=0)
    yard.somebody_pushes({"after.txt": "2\n"})
    dry = yard.run("rollback", FEATURE, "--dry-run", code=0)
    assert named(dry.stdout) == ["far", "high", "low"]
    yard.run("rollback", FEATURE, code=0)
    assert yard.files() == ["README.md", "after.txt", "before.txt"]
    assert yard.files("web") == ["README.md"]
    assert yard.history()[-2:] == ["high", "low"]
    yard.always_green() if strategy != "fast-forward" else None
    heads = yard.heads()
    again = yard.run("rollback", FEATURE, code=0)
    assert "nothing to roll back" in again.stdout and yard.heads() == heads
    # It lands again with a new head only, and then wholly.
    yard.run("land", FEATURE, code=1)
    assert yard.heads() == heads
    if strategy == "merge":
        yard.script("low", "echo more >> low.txt\n")
        yard.run("run", FEATURE, "--force", code=0)
        yard.run("land", FEATURE, code=1)
        assert "low.txt" in yard.files()


def test_what_was_rolled_back_lands_again_from_a_fresh_start(yard: Yard) -> None:
    yard.run("land", FEATURE, code=0)
    files = yard.files()
    yard.run("rollback", FEATURE, code=0)
    assert yard.files() != files
    refused = yard.run("land", FEATURE, code=1)
    assert f"orchestr run {FEATURE} --fresh && orchestr land {FEATURE}" in refused.stdout
    yard.run("run", FEATURE, "--fresh", code=0)
    yard.run("land", FEATURE, code=0)
    assert yard.files() == files
    yard.always_green()


def test_rollback_without_the_book_finds_it_by_trailers(yard: Yard) -> None:
    yard.run("land", FEATURE, code=0)
    (yard.root / ".orchestr/landing/queue.jsonl").unlink()
    yard.run("rollback", FEATURE, code=0)
    assert yard.files() == ["README.md"] and yard.files("web") == ["README.md"]


def test_a_target_that_somebody_rewound_gets_it_again(yard: Yard) -> None:
    first = yard.main()
    yard.run("land", FEATURE, code=0)
    git(yard.repos / "app.git", "update-ref", "refs/heads/main", first)
    yard.run("land", FEATURE, code=0)
    assert yard.history() == ["low", "high"]


def test_what_is_not_built_does_not_land_and_says_what_to_do(tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", build=False)
    for words in (("land",), ("land", "--dry-run"), ("plan", "--land"), ("rollback",)):
        done = yard.run(words[0], FEATURE, *words[1:], code=1)
        assert "nothing of demo is built yet" in done.stderr, words
        assert "orchestr run demo" in done.stderr
    yard.run("run", f"{FEATURE}:low", code=0)
    dry = yard.run("land", FEATURE, "--dry-run", code=1)
    assert "1 can be landed, 2 cannot" in dry.stdout and "it is not built" in dry.stdout
    done = yard.run("land", FEATURE, code=1)
    assert yard.history() == ["low"]
    assert "next: orchestr run demo && orchestr land demo" in done.stdout
    assert yard.run("land", FEATURE, code=1).stdout.count("landed before") == 1
    yard.run("run", FEATURE, code=0)
    yard.run("land", FEATURE, code=0)
    yard.landed()
    assert "3 cells landed before" in yard.run("land", FEATURE, code=0).stdout
    assert yard.run("clean", FEATURE, code=0)


def test_one_cell_cannot_land_alone_and_words_are_checked(yard: Yard) -> None:
    assert "as a whole" in yard.run("land", f"{FEATURE}:low", code=2).stderr
    assert "no strategy" in yard.run("land", FEATURE, "--strategy", "octopus", code=2).stderr
    yard.settings(landing={"land": "api"})
    assert "needs a forge that merges" in yard.run("land", FEATURE, code=2).stderr


def test_delivery_merge_lands_at_the_end_of_the_run(tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w", build=False)
    yard.spec(CHAIN, delivery="merge")
    told = yard.run("run", FEATURE, "--json", code=0).stdout.splitlines()
    assert [json.loads(line)["kind"] for line in told].count("land.done") == 3
    yard.landed()
    again = yard.run("run", FEATURE, code=0)
    assert again.stdout.splitlines() == ["nothing to be done: 3 cells are up to date"]


def test_an_origin_that_refuses_parks_with_its_words(yard: Yard) -> None:
    hook = yard.repos / "app.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'main is frozen' >&2\nexit 1\n")
    hook.chmod(0o755)
    done = yard.run("land", FEATURE, code=1)
    assert "main is frozen" in done.stdout + done.stderr
    assert yard.history() == [] and yard.states()["low"] == "needs_person"
    hook.unlink()
    yard.run("land", FEATURE, code=0)
    yard.landed()


def test_a_target_that_was_replaced_is_named(yard: Yard) -> None:
    """Somebody force-pushed a history of their own: nothing lands on it, nothing is pushed."""
    origin = yard.repos / "app.git"
    before = yard.main()
    tree = git(origin, "rev-parse", "main^{tree}")
    other = git(origin, "commit-tree", tree, "-m", "other")
    git(origin, "update-ref", "refs/heads/main", other)
    done = yard.run("land", FEATURE, code=1)
    assert "shares no history with what it lands on" in done.stderr
    assert "put the branch back at the origin" in done.stdout
    assert yard.main() == other
    git(origin, "update-ref", "refs/heads/main", before)
    assert yard.run("land", FEATURE, code=0).stdout.endswith("3 landed, 0 not\n")
