"""Secrets in a stream: hidden wherever it is cut, and lines of JSON stay lines of JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestr.process.redact_stream import HELD, LONGEST_LINE, StreamRedactor
from orchestr.process.run import run_command

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
KEY = "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----".format(
    "\n".join(f"MIIEpAIBAAKCAQEA{n:04d}abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN" for n in range(4))
)
KNOWN = (
    "correct horse battery staple",
    'quote"and\\slash\tand é',
    "first-line-of-it\nsecond-line-of-it",
)
SHAPED = {
    "classic": "ghp_" + "a1B2" * 9,
    "installation": "ghs_" + "a1B2" * 9,
    "fine grained": "github_pat_" + "11AA_bb22" * 6,
    "gitlab": "glpat-" + "a1B2c3D4" * 3,
    "provider": "sk-ant-api03-" + "a1B2c3D4" * 5,
    "amazon": "AKIA" + "ABCDEFGH12345678",
    "chat": "xoxb-123456789012-abcdefABCDEF",
    "web token": JWT,
}  # fmt: skip
AROUND = {
    "a header": ("Authorization: Bearer {}", "abcdefgh0123456789"),
    "a header in JSON": ('"authorization": "token {}"', "abcdefgh0123456789"),
    "a URL": ("https://{}@example.org/x.git", "user:pass0123456789word"),
    "another URL": ("postgres://me:{}@db/x", "pass0123456789word"),
    "bearer": ("the bearer {} was refused", "abcdefgh0123456789"),
}


def stream(data: bytes, sizes: list[int], values: tuple[str, ...] = KNOWN) -> bytes:
    redactor, out, at, turn = StreamRedactor(values), bytearray(), 0, 0
    while at < len(data):
        size = max(1, sizes[turn % len(sizes)]) if sizes else len(data)
        out += redactor.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    return bytes(out + redactor.finish())


def shows_half(secret: str, shown: bytes) -> bool:
    """Whether any 8 characters of it in a row are there."""
    raw = secret.encode()
    return any(raw[i : i + 8] in shown for i in range(len(raw) - 7))


@pytest.mark.parametrize("name", SHAPED)
@pytest.mark.parametrize("before", ["", "x=", "\\n", "\n", '{"a":"\\n'])
def test_what_has_the_form_of_a_token(name: str, before: str) -> None:
    shown = stream(f"{before}{SHAPED[name]} after\n".encode(), [])
    assert shown == f"{before}*** after\n".encode()


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_stands_where_secrets_stand(name: str, size: int) -> None:
    form, secret = AROUND[name]
    shown = stream((form.format(secret) + "\n").encode(), [size])
    assert not shows_half(secret, shown)
    assert form.partition("{}")[0].encode() in shown


@pytest.mark.parametrize("text", [
    "task-runner-with-a-long-name-2024-and-more", "the disk-usage-report-2024-of-the-host",
    "ghost_writer", "see https://example.org/a@b/c", "an authorization was given",
    "AKIA is a word", "eyJust.a.word",
    "c0ffee00-1111-2222-3333-444455556666", "toolu_01A09q90qw90lq917835lq9",
])  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert stream(f"{text}\n".encode(), []) == f"{text}\n".encode()


@pytest.mark.parametrize("value", KNOWN)
def test_a_known_value_in_every_form(value: str) -> None:
    nested = json.dumps({"out": json.dumps({"in": value})})
    for text in (json.dumps({"a": value}), json.dumps({"a": value}, ensure_ascii=False), nested,
                 f"q={quote(value, safe='')}&x"):  # fmt: skip
        shown = stream(text.encode() + b"\n", [3])
        for line in value.splitlines():
            for form in (line, json.dumps(line)[1:-1], json.dumps(json.dumps(line))[3:-3]):
                assert form.encode() not in shown
        if text.startswith("{"):
            assert json.loads(shown)


def test_short_values_and_numbers_are_part_of_other_words() -> None:
    text = b'{"tokens":128000,"kind":"assistant"}\n'
    assert stream(text, [], ("128000", "kind", "assistant", "")) == text


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=20),
    words=st.lists(
        st.sampled_from([*SHAPED.values(), *KNOWN, KEY, "plain words", "\n", '"', "é" * 50, "+"]),
        min_size=1, max_size=12,
    ),
)  # fmt: skip
@example(sizes=[1], words=[KEY, "\n", KNOWN[2]])
def test_wherever_it_is_cut_it_comes_out_the_same(sizes: list[int], words: list[str]) -> None:
    data = " ".join(words).encode()
    assert stream(data, sizes) == stream(data, [])
    assert not any(shows_half(word, stream(data, sizes)) for word in [*SHAPED.values(), KEY]
                   if word in words)  # fmt: skip


@pytest.mark.parametrize("secret", [SHAPED["classic"], JWT, KNOWN[0], "v" * 5000 + "1"])
@pytest.mark.parametrize("size", [65536, 1 << 17])
def test_a_line_without_an_end_is_never_cut_within_a_secret(secret: str, size: int) -> None:
    """Every place near the limits, with a line far longer than what is held."""
    for shift in (0, 1, len(secret) // 2, len(secret)):
        for limit in (LONGEST_LINE, 1 << 17):
            data = b"=" * (limit - shift) + f" {secret} ".encode() + b"=" * (3 * LONGEST_LINE)
            shown = stream(data, [size], (*KNOWN, secret))
            assert not shows_half(secret, shown)
            assert shown.count(b"=") == data.count(b"=") and b" *** " in shown


def test_what_is_held_is_bounded() -> None:
    redactor = StreamRedactor(KNOWN)
    for _ in range(20):
        redactor.feed(b"=" * 65536)
        assert len(redactor._rest) <= LONGEST_LINE + HELD + 65536


@pytest.mark.parametrize("margin", ["", "+", "    ", "[builder] "])
@pytest.mark.parametrize("sizes", [[1], [64], [65536]])
def test_a_private_key_from_its_first_line_to_its_last(margin: str, sizes: list[int]) -> None:
    lines = "".join(f"{margin}{line}\n" for line in KEY.splitlines())
    shown = stream(f"before\n{lines}after\n".encode(), sizes)
    assert b"MIIE" not in shown and b"END" not in shown
    assert shown.startswith(b"before\n") and shown.endswith(b"after\n")
    line = json.dumps({"text": f"a\n{KEY}\nb"}) + "\n"
    assert json.loads(stream(line.encode(), sizes)) == {"text": "a\n***\nb"}


def test_a_key_that_never_ends_hides_no_more_than_itself() -> None:
    shown = stream(
        b"-----BEGIN PRIVATE KEY-----\nMIIEabcdefgh\nIt broke off here: why?\nmore\n", [5]
    )
    assert shown.endswith(b"It broke off here: why?\nmore\n") and b"MIIE" not in shown


def test_a_log_of_two_streams_shows_no_half(tmp_path: Path) -> None:
    """A read of one stream comes between two of the other, in the middle of a token."""
    script = 'printf "a %.12s" "$T"; sleep .2; echo noise >&2; sleep .2; echo "${T#????????????} b"'
    log = bytearray()
    token = SHAPED["classic"]
    run_command(["sh", "-c", script], cwd=tmp_path, sink=log.extend, secrets=(),
                env={"PATH": os.environ["PATH"], "T": token})  # fmt: skip
    assert sorted(log.splitlines()) == [b"a *** b", b"noise"]
