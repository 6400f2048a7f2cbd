"""The audit from outside: red, repaired at its cause in another cell, certified, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.audit.house import (
    BAD,
    CELLS,
    CORE,
    CROSS,
    GREETS,
    audited,
    finding,
    judge,
    read_record,
)
from tests.conftest import git
from tests.crash.house import FEATURE, House, both

ALONE = {CORE: CELLS[CORE]}  # a feature of one cell


def read_status(house: House) -> dict[str, Any]:
    (found,) = json.loads(house.run("status", FEATURE, "--json", code=0).stdout)["features"]
    assert isinstance(found, dict)
    return found


def test_a_red_audit_is_repaired_at_its_cause_in_another_cell(tmp_path: Path) -> None:
    house = audited(tmp_path / "w", cross_checks=[CROSS], lock=True)
    done = house.run("run", FEATURE, code=0)
    assert "audit: failed: 2 failed; repaired by core" in done.stderr, both(done)
    paid = ["core first", "site first", "audit by eve", "core 1", "site first", "audit by eve"]
    assert house.starts() == paid
    words = (house.cell_dir(CORE) / "attempts/1/rounds/1.md").read_text()
    assert "greets is green: failed (cross checks in app)" in words  # with the evidence of both
    assert "no hello" in words and f"{GREETS}: failed (auditor eve)" in words
    assert "Where: lib/greeting.txt" in words
    record = read_record(house)
    assert (record["verdict"], record["is_open"]) == ("passed", False)
    assert house.pr(CORE)["head_sha"] == house.head(CORE, "lib")
    shown = house.run("run", FEATURE, code=0).stdout  # up to date: nothing is paid again
    assert "nothing to be done" in shown and house.starts() == paid
    state = read_status(house)
    assert state["state"] == "done" and state["audit"]["verdict"] == "passed"
    verdicts = [e["data"]["verdict"] for e in house.journal(FEATURE, "audit.done")]
    assert verdicts == ["failed", "passed"]

    lock = house.root / "specs" / f"{FEATURE}.lock.toml"  # edited by hand, as the spec
    lock.write_text(lock.read_text().replace(GREETS, "it greets"))
    house.edit_spec(GREETS, "it greets")
    red = house.run("run", f"{FEATURE}:audit", code=1)
    assert "partial: 2 passed (the chain of the spec's lock is broken" in red.stderr
    assert house.starts() == [*paid, "audit by eve"]  # and nothing is repaired
    house.sound()


def test_an_audit_without_repairs_certifies_only(tmp_path: Path) -> None:
    house = audited(tmp_path / "w", cells=ALONE, repair={"audit": 0})
    red = house.run("run", f"feature:{FEATURE}:audit", code=1)
    assert "no repairs are allowed" in red.stderr and "the audit of demo is failed" in red.stderr
    assert house.starts() == ["core first", "audit by eve"]
    state = read_status(house)
    assert state["state"] == "failed"
    (row,) = state["audit"]["findings"]
    assert (row["state"], row["fate"], row["owners"]) == ("failed", "stopped", [CORE])
    text = house.run("explain", f"{FEATURE}:audit", code=0).stdout
    assert GREETS in text and "no further repair: no repairs are allowed" in text
    assert "✗ audit: failed: 1 failed" in house.run("plan", FEATURE, code=0).stdout
    assert "audit: failed" in house.run("info", f"{FEATURE}:audit", code=1).stdout
    assert f"{FEATURE}:audit" in house.run("list", "--all", code=0).stdout
    assert "last step of demo" in house.run("clean", f"{FEATURE}:audit", code=2).stderr
    reports = sorted((house.root / ".orchestr/reports/runs").glob("*/report.*"))
    pages = {path.suffix: path.read_text() for path in reports}
    assert all(GREETS in text and "eve" in text for text in pages.values()), pages
    (row,) = json.loads(pages[".json"])["features"]  # what auditors cost is in all sums
    assert [(one["phase"], one["works"]) for one in row["audit_costs"]] == [("audit", 1)]
    assert "| audit | failed | - | - | - | unknown |" in pages[".md"]
    forecast = json.loads(house.run("plan", FEATURE, "--json", code=0).stdout)["forecast"]
    assert [(one["name"], one["attempts"]) for one in forecast["cells"]] == [("audit", 1)]
    house.run("run", FEATURE, code=1)  # known: the auditor is not paid again
    assert len(house.starts()) == 2
    refused = house.run("land", FEATURE, code=1)
    assert "audit failed: 1 failed" in refused.stderr and "--allow-red" in refused.stderr
    assert "in spite of this: audit failed" in house.run("land", FEATURE, "--allow-red").stderr
    house.run("land", FEATURE, "--allow-red", "--yes", code=0)
    (event,) = house.journal(FEATURE, "land.allowed")
    assert "audit failed" in event["data"]["reason"]
    assert read_status(house)["state"] == "landed"


def test_the_same_red_ends_the_loop_and_what_needs_a_person_stays(tmp_path: Path) -> None:
    other = json.loads(BAD)
    other["findings"].append(
        {"statement": "the licence is right", "state": "failed", "detail": "", "evidence": "GPL",
         "places": [{"repo": "lib", "path": "COPYING", "line": None}]}
    )  # fmt: skip
    wrong = {CORE: 'echo "moin $ORCHESTR_ROUND" > greeting.txt\n'}
    answer = f"echo '{json.dumps(other)}'\n"
    house = audited(tmp_path / "w", auditor=answer, work=wrong, cells=ALONE)
    red = house.run("run", FEATURE, code=1)
    assert "the same is red after the last repair" in red.stderr, both(red)
    assert house.starts() == ["core first", "audit by eve", "core 1", "audit by eve"]
    fates = [(one["fate"], one["owners"]) for one in read_status(house)["audit"]["findings"]]
    assert fates == [("stopped", [CORE]), ("needs_person", [])]
    assert "no cell owns lib/COPYING" in house.run("status", FEATURE, code=0).stdout


def test_what_was_not_evaluated_starts_no_repair_and_is_asked_again(tmp_path: Path) -> None:
    blind = finding("failed", ("lib", "greeting.txt"), evidence=" ")
    house = audited(tmp_path / "w", auditor=f"echo '{blind}'\n", cells=ALONE)
    red = house.run("run", FEATURE, code=1)
    assert "called failed without evidence" in red.stdout, both(red)
    assert house.starts() == ["core first", "audit by eve"]
    clone = house.repos / "lib"  # then one that moves a cell's branch: undone, void, asked again
    head = git(clone, "rev-parse", "T-1-core")
    moves = f"git -C {clone} update-ref refs/heads/T-1-core $(git -C {clone} rev-parse main)\n"
    (house.agents / "auditor.sh").write_text(moves + f"echo '{finding('passed', evidence='')}'\n")
    red = house.run("run", FEATURE, code=1)
    assert "the answers of its auditors do not count" in red.stderr, both(red)
    assert git(clone, "rev-parse", "T-1-core") == head
    (house.agents / "auditor.sh").write_text(judge(finding("passed", evidence="")))
    house.run("run", FEATURE, code=0)
    assert house.starts()[1:] == ["audit by eve"] * 3


def test_cross_checks_alone_are_repaired_where_a_spec_says_so(tmp_path: Path) -> None:
    house = audited(
        tmp_path / "w", auditors=None, done_means=None, cross_checks=[CROSS], repair={"audit": 1}
    )
    house.run("run", FEATURE, code=0)
    assert house.starts() == ["core first", "site first", "core 1", "site first"]
    house.spec(CELLS, cross_checks=[CROSS])  # without an audit: as ever
    house.run("run", FEATURE, code=0)
    assert "audit" not in read_status(house) and len(house.starts()) == 4


def test_a_feature_does_not_land_without_its_audit(tmp_path: Path) -> None:
    house = audited(tmp_path / "w", cells=ALONE, repair={"audit": 0})
    house.run("run", FEATURE, code=1)
    file = house.root / ".orchestr" / "cells" / FEATURE / "audit.json"
    red = file.read_text()
    file.write_text(red.replace('"failed"', '"passed"'))  # no process of ours wrote that
    refused = house.run("land", FEATURE, code=1)
    assert "none that orchestr wrote" in refused.stderr, both(refused)
    assert "audit: not made for these heads; the last one was failed" in refused.stderr
    assert f"orchestr land {FEATURE} --allow-red" in refused.stderr
    state = read_status(house)
    assert not file.exists() and state["audit"]["verdict"] is None
    assert state["state"] == "partial"  # all cells are done, the whole is not
    house.run("run", FEATURE, code=1)  # made again, from the answers that were paid for
    assert (read_record(house)["verdict"], len(house.starts())) == ("failed", 2)

    house.script(CORE, "echo hello > greeting.txt\n")
    house.run("run", f"{FEATURE}:{CORE}", "--force", code=0)  # a cell alone: it is not audited
    assert "audit: not made for these heads" in house.run("land", FEATURE, code=1).stderr
    house.run("run", FEATURE, code=0)
    file.unlink()
    assert "audit it: orchestr run" in house.run("land", FEATURE, code=1).stderr
    house.run("run", f"{FEATURE}:audit", code=0)
    assert len(house.starts()) == 4  # the answer was kept
    dry = house.run("run", f"{FEATURE}:audit", "--force", "--dry-run", code=0).stdout
    assert "it is made again: it is to be forced" in dry
    again = house.run("run", f"{FEATURE}:audit", "--force", code=0).stdout
    assert "audit: passed" in again and "nothing to be done" not in again  # and no cell is built
    assert house.starts()[4:] == ["audit by eve"]
    house.run("land", FEATURE, code=0)


def test_heads_that_the_landing_makes_are_not_audited_again(tmp_path: Path) -> None:
    right = {CORE: "echo hello > greeting.txt\n"}
    house = audited(tmp_path / "w", cells=ALONE, work=right)
    house.run("run", FEATURE, code=0)
    other = tmp_path / "other"  # a conflict, for the cell's agent
    git(tmp_path, "clone", "-q", str(house.repos / "lib.git"), str(other))
    (other / "greeting.txt").write_text("good day\n")
    git(other, "add", ".")
    git(other, "commit", "-q", "-m", "greet")
    git(other, "push", "-q", "origin", "HEAD:main")
    killed = house.crash("journal:before#land.done", "land", FEATURE)
    assert killed.returncode == -9, both(killed)
    assert len(house.journal(FEATURE, "land.repair")) == 1
    landed = house.run("land", FEATURE, code=0)
    assert "audit: passed before the landing changed core" in landed.stderr, both(landed)
    assert house.starts().count("audit by eve") == 1


def test_a_repair_that_needs_a_contract_changed_says_so(tmp_path: Path) -> None:
    asks = 'echo moin > greeting.txt; [ -z "$ORCHESTR_ROUND" ] || echo "ORCHESTR amend a.txt: v2"\n'
    house = audited(tmp_path / "w", work={CORE: asks}, cells=ALONE)
    red = house.run("run", FEATURE, code=1)
    assert "nothing was handed over; put it into the todo" in red.stderr, both(red)
