"""The log of refusals is bounded, and counts what repeats."""

from __future__ import annotations

from pathlib import Path

from orchestr.sandbox.refusals import FULL, LARGEST_LOG, RefusalLog, read_refusals


def test_a_repeated_refusal_takes_few_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = RefusalLog(str(path))
    for _ in range(1000):
        log.add_refusal("a.example.org", 443, "why")
    log.add_refusal("b\n.example.org", 80, 'odd "one"')
    assert len(path.read_bytes().splitlines()) == 11
    found = [(r.host, r.port, r.reason, r.count) for r in read_refusals(path)]
    assert found == [("a.example.org", 443, "why", 512), ("b\n.example.org", 80, 'odd "one"', 1)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_log_has_a_bound_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for _ in range(2):  # another proxy of the same attempt goes on with the same file
        log = RefusalLog(str(path))
        for number in range(12_000):
            log.add_refusal(f"{number}.example.org" + "x" * 5000, 443, "why")
    assert LARGEST_LOG - 2000 < path.stat().st_size <= LARGEST_LOG
    refusals = read_refusals(path)
    assert len(refusals) > 1000
    assert refusals[-1].reason == FULL


def test_a_torn_line_and_a_missing_log_are_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert read_refusals(path) == []
    RefusalLog(str(path)).add_refusal("a.example.org", 443, "why")
    with path.open("ab") as file:
        file.write(b'{"time": 1, "host": "b')
    assert [r.host for r in read_refusals(path)] == ["a.example.org"]
