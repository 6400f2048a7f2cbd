"""The report of a follow: what was found and what came of it; none where nothing is new."""

from __future__ import annotations

import json

import pytest

from tests.follow.test_rounds import Make, follow, followed

__all__ = ["followed"]


@pytest.mark.slow
def test_a_follow_leaves_one_report(followed: Make) -> None:
    ws = followed({"a": {}})
    ws.script("a", 'echo "$ORCHESTR_ROUND" >> a.txt')
    ws.run("run", "demo", code=0)
    ws.run("comment", ws.result("a", "pr-url"), "rename it", "--as", "rita", code=0)
    follow(ws)
    follow(ws)  # nothing is new: no report
    rows = json.loads(ws.run("runs", "--json", code=0).stdout)["runs"]
    (mine,) = [row for row in rows if row["verb"] == "follow"]
    assert (mine["outcome"], mine["exit"], mine["counts"]) == ("done", 0, {"done": 1})
    report = json.loads(ws.run("runs", mine["run"], "--json", code=0).stdout)
    (feature,) = report["features"]
    done = [action["what"].split()[0] for action in feature["actions"]]
    assert done == ["pushed", "updated", "answered"]
    (cell,) = feature["cells"]
    assert (cell["touched"], cell["pr"]["origin"]) == (True, "reused")
    assert [(one["name"], one["state"]) for one in cell["works"]] == [("repair 1 of 3", "done")]
    assert report["next"] == "done"
