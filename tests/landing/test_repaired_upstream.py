"""What a landing itself made of an upstream starts no agent of a dependent."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr.state.results import HeadRecord, ImplementOutcome
from tests.landing.house import FEATURE, Yard, both

MERGES = 'echo "both" > low.txt; git add low.txt\n'


def make_head(head: str, tree: str, *, stands_for: tuple[str, ...] | None = None) -> HeadRecord:
    return HeadRecord(head, tree, "b", "x", ImplementOutcome.CHANGED, stands_for=stands_for)


@pytest.mark.parametrize(
    ("old", "lands", "wanted"),
    [
        (None, "h0", None),
        (make_head("h0", "t0"), None, None),  # an attempt of its own
        (make_head("h0", "t0"), "other", None),  # of a head that was never agreed on
        (make_head("h0", "t0"), "h0", ("t0",)),
        (make_head("h0", "t1", stands_for=("t0",)), "h0", ("t0", "t1")),  # the second repair
        (make_head("h9", "t2", stands_for=("t0",)), None, ("t0",)),  # the same product once more
    ],
)
def test_a_head_stands_for_the_products_that_its_landing_replaced(
    old: HeadRecord | None, lands: str | None, wanted: tuple[str, ...] | None
) -> None:
    assert make_head("h9", "t2").with_former_products(old, lands).stands_for == wanted


@pytest.mark.slow
def test_dependents_of_a_repaired_upstream_are_not_built_again(tmp_path: Path) -> None:
    yard = Yard.ready(tmp_path / "w")
    yard.somebody_pushes({"low.txt": "theirs\n"})
    yard.script("low", MERGES)
    done = yard.run("land", FEATURE, code=0)
    assert set(yard.states().values()) == {"landed"}, both(done)
    starts, commits = yard.starts(), yard.history() + yard.history("web")
    assert starts[-1] == "end low 2"
    again = yard.run("run", FEATURE, code=0)
    assert yard.starts() == starts, both(again)
    assert "another tree" not in both(yard.run("plan", FEATURE, code=0))
    assert set(yard.states().values()) == {"landed"}
    # An edited upstream is another matter.
    yard.script("low", "echo more >> low.txt")
    yard.run("run", FEATURE, "--force", "--only", "low", code=0)
    assert "upstream low has another tree" in both(yard.run("explain", f"{FEATURE}:far"))
    assert yard.history() + yard.history("web") == commits
    yard.end()
