"""Redact a stream of bytes as it comes, in bounded memory: what is written down holds no secret.

A secret may be cut anywhere: between two reads, or where a line that is too long is cut in pieces.
So whole lines are let through, and of a line that does not end a tail is held back that is longer
than any secret known to us; it is never cut within a secret. A private key goes over many lines: it
is hidden from its first line to its last.

In JSON a value stands escaped, and JSON in JSON twice: those forms are hidden, too. What is hidden
never holds a quote, so a line of JSON stays one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from json.encoder import encode_basestring, encode_basestring_ascii

from orchestr.process.redaction import HIDDEN, SHAPES, compile_shape, secret_values

LONGEST_LINE = 64 << 10  # bytes of a line without an end that are held
HELD = 16 << 10  # bytes that stay behind where such a line is cut; a secret is shorter
SHORTEST = 8  # a shorter value is part of too many words
SHORTEST_WORD, SHORTEST_NUMBER = 16, 12  # `production`, `assistant`, `128000`: one of many
SHORTEST_LINE = 12  # of a value with several lines
LONGEST_KEY = 400  # lines
STAR = HIDDEN.encode()
_KEY_BEGIN = rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----"
_KEY_END = rb"-----END [A-Z0-9 ]*PRIVATE KEY-----"
# Base64, the headers of an encrypted key, and the ends of lines as JSON writes them.
_KEY_TEXT = rb"[A-Za-z0-9+/=\\ \t:,.-]*"
LEAST_KEY_TEXT = 40  # of key text before something else: more is a key, less is another text


class StreamRedactor:
    """Bytes in, the same without secrets out, as soon as that is known. One for each stream.

    ``values`` are secrets that are known; what has one of the `SHAPES` is hidden, too. After
    `finish` it is as new.
    """

    def __init__(self, values: Collection[str] = ()) -> None:
        self._forms = list_forms(values)
        self._held = max([HELD, *(2 * len(form) for form in self._forms)])
        self._rest = bytearray()
        self._key = False  # inside of a private key
        self._key_lines = 0
        self._margin = b""  # what stands before each line of the key: a `+` of a diff, say

    def feed(self, chunk: bytes) -> bytes:
        """Take a piece of the stream; return what is known to hold no secret by now."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._rest += chunk
            if len(self._rest) <= LONGEST_LINE + self._held:
                return b""
            cut = self._find_cut(len(self._rest) - self._held)
            ready, self._rest = bytes(self._rest[:cut]), self._rest[cut:]
            return self._hide(ready)
        ready = bytes(self._rest) + chunk[:end] if self._rest else chunk[:end]
        self._rest = bytearray(chunk[end:])
        return self._hide(ready)

    def finish(self) -> bytes:
        """Return what is left, as the stream has ended."""
        ready, self._rest = self._hide(bytes(self._rest)), bytearray()
        self._key = False
        return ready

    def _find_cut(self, cut: int) -> int:
        """The place nearest before ``cut`` where no secret is cut. A secret that is longer than
        what may be held is cut: its parts are hidden as they come."""
        spans = list(self._spans(self._rest))
        moved = True
        while moved:
            moved = False
            for start, end in spans:
                if 0 < start < cut < end:
                    cut, moved = start, True
        return cut

    def _spans(self, data: bytearray) -> Iterator[tuple[int, int]]:
        for form in self._forms:
            at = data.find(form)
            while at >= 0:
                yield at, at + len(form)
                at = data.find(form, at + 1)
        for shape in _shapes_in(data):
            yield from (found.span() for found in _pattern(shape).finditer(data))

    def _hide(self, data: bytes) -> bytes:
        if self._key or b"PRIVATE KEY-----" in data:  # line by line, as they come
            data = b"".join(map(self._hide_key_line, data.splitlines(keepends=True)))
        shapes = _shapes_in(data)
        for number in shapes:
            if SHAPES[number].is_token:
                data = _pattern(number).sub(STAR, data)
        for form in self._forms:
            if form in data:
                data = data.replace(form, STAR)
        for number in shapes:
            if not SHAPES[number].is_token:
                data = _pattern(number).sub(SHAPES[number].shown.encode(), data)
        return data

    def _hide_key_line(self, line: bytes) -> bytes:
        """One line, or a piece of one, without what belongs to a key that has more of them."""
        shown = b""
        if not self._key:
            begin = re.search(_KEY_BEGIN, line)
            if begin is None:
                return line
            self._key, self._key_lines = True, 0
            self._margin = line[: begin.start()]
            shown, line = line[: begin.start()] + STAR, line[begin.end() :]
        elif self._margin and line.startswith(self._margin):
            line = line[len(self._margin) :]
        self._key_lines += 1
        end = re.search(_KEY_END, line)
        if end is not None:
            self._key = False
            return (shown or STAR) + self._hide_key_line(line[end.end() :])
        text = re.match(_KEY_TEXT, line)
        length = text.end() if text else 0
        ending = line[length:]
        if ending.strip(b"\r\n") or self._key_lines > LONGEST_KEY:  # something else begins
            self._key = False
            ending = line[length:] if shown or length >= LEAST_KEY_TEXT else line
        return shown + (STAR if not shown and len(ending) < len(line) else b"") + ending


def hide_secret_values(text: str, environ: Mapping[str, str]) -> str:
    """A text that others read or that is kept, without what is secret in ``environ``, and without
    what has the form of a secret."""
    return hide_values(text, secret_values(environ))


def hide_values(text: str, secrets: Collection[str]) -> str:
    """The same for values that are known to be secret."""
    redactor, raw = StreamRedactor(secrets), text.encode("utf-8", "surrogatepass")
    return (redactor.feed(raw) + redactor.finish()).decode("utf-8", "surrogatepass")


def list_forms(values: Collection[str]) -> list[bytes]:
    """The values as they may stand in output: as they are, in JSON, in a URL; the longest first.

    Of a value with several lines each line counts, as each may come alone.
    """
    found: set[str] = set()
    for value in values:
        for part in {value, *(line for line in value.splitlines() if len(line) >= SHORTEST_LINE)}:
            if len(part) < _shortest_length(part):
                continue
            if "\n" not in part:
                found.add(part)
            for write in (encode_basestring, encode_basestring_ascii):
                once = write(part)[1:-1]
                found |= {once, write(once)[1:-1]}
            found.add(_quote_for_url(part))
    return sorted((form.encode("utf-8", "surrogateescape") for form in found), key=len)[::-1]


def _shortest_length(value: str) -> int:
    """How long a value must be to be looked for: a word or a number stands in many texts."""
    if value.isalpha():
        return SHORTEST_WORD
    return SHORTEST_NUMBER if value.isdecimal() else SHORTEST


def _quote_for_url(text: str) -> str:
    safe = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~"
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in raw)


def _shapes_in(data: bytes | bytearray) -> list[int]:
    """The numbers of the `SHAPES` of which a mark is in ``data``: those that may be there."""
    folded, found = data.translate(_FOLDED), set[int]()
    for mark, numbers in _marks().items():
        if mark in folded:
            found.update(numbers)
    return sorted(found)


# Small letters, and one for those by which the tokens of one forge differ (`ghp_`, `gho_`): each
# mark costs a walk through all that an agent says.
_FOLDED = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ" + b"ousr", b"abcdefghijklmnppqpptpvwxyz" + b"pppp"
)


@cache
def _marks() -> dict[bytes, set[int]]:
    found: dict[bytes, set[int]] = {}
    for number, shape in enumerate(SHAPES):
        for mark in shape.marks:
            found.setdefault(mark.encode().translate(_FOLDED), set()).add(number)
    return found


@cache
def _pattern(number: int) -> re.Pattern[bytes]:
    text = compile_shape(number)
    return re.compile(text.pattern.encode(), text.flags & re.IGNORECASE)
