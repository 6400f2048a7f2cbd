"""What a log says: cause, places, names, signature. Pure."""

from __future__ import annotations

from orchestr.checks import log_evidence as evidence

CHECK = "test (java@main-main)"
LOG = """\
2026-05-01T12:00:00.1234567Z ##[group]Run pytest
2026-05-01T12:00:00.2234567Z \x1b[31mE       assert 49 == 50\x1b[0m
2026-05-01T12:00:00.2234567Z tests/test_price.py:7: AssertionError
2026-05-01T12:00:01.1234567Z   File "/home/runner/work/app/app/src/price.py", line 3, in total
2026-05-01T12:00:01.3234567Z ##[error]Process completed with exit code 1.
"""


def test_a_log_is_read_without_clocks_and_colours() -> None:
    text = evidence.find_causal_part(LOG)
    assert text.split("\n")[1] == "E       assert 49 == 50"
    assert "2026" not in text


def test_of_a_long_log_the_first_error_and_the_end_stay() -> None:
    log = "\n".join(["noise"] * 5000 + ["error: cannot find symbol"] + ["more"] * 5000 + ["end"])
    text = evidence.find_causal_part(log)
    assert len(text) <= evidence.LONGEST
    assert "error: cannot find symbol" in text
    assert text.endswith("end")


def test_a_signature_stays_when_numbers_and_folders_differ() -> None:
    other = LOG.replace("49", "48").replace("/home/runner/work/app", "/tmp/x9")
    assert evidence.sign_failure(CHECK, LOG) == evidence.sign_failure(CHECK, other)
    assert evidence.sign_failure(CHECK, LOG) != evidence.sign_failure(CHECK, "E KeyError: 'x'")


def test_named_paths_meet_changed_ones() -> None:
    named = evidence.find_paths(LOG, ["web/a.ts"])
    assert named[0] == "web/a.ts"
    changed = ["src/price.py", "price.py", "tests/test_price.py", "web/a.ts", "src/other.py"]
    assert evidence.match_changed_paths(named, changed) == (
        "src/price.py", "tests/test_price.py", "web/a.ts",
    )  # fmt: skip


def test_names_that_an_error_misses() -> None:
    log = (
        "src/A.java:3: error: cannot find symbol\n  symbol:   class KeyEncapsulation\n"
        "main.go:4:2: undefined: proto.Kem\nModuleNotFoundError: No module named 'kem_api'\n"
        "it was `fine` before\n"
    )
    found = evidence.find_missing_names(log)
    assert {"proto.Kem", "kem_api"} <= set(found)
    assert "fine" not in found


def test_files_that_only_passed_are_no_cause() -> None:
    log = (
        "tests/test_old.py ..s.                     [ 40%]\n"
        "tests/test_far.py::test_it PASSED          [ 60%]\n"
        "ok  \texample.com/pkg.go\t0.01s\n"
        "src/pay.py:3: TypeError\n"
        "it read settings.toml\n"
    )
    sure, named = evidence.find_causal_paths(log)
    assert sure == ("src/pay.py",) and named == ("src/pay.py", "settings.toml")
    sure, named = evidence.find_causal_paths("tests/test_old.py .. [99%]\nwrong in e.txt\n")
    assert sure == () and named == ("e.txt",)
    assert evidence.find_causal_paths("assert 1 == 2\n") == ((), ())
