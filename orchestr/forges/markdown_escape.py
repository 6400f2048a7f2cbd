"""Foreign text inside our Markdown: shown as it was written, doing nothing.

A todo may hold anything. On a forge ``@name`` calls a person, ``#12`` leaves a trace in another
thread, ``fixes #12`` closes it, ``__init__`` turns bold and ``<!--`` hides the rest. Here such
words become code and such signs are escaped; code that the author marked stays code.

Pure. The invariant: the result is one line and holds no ``<!--``, so nothing that passed
through here can look like a marker of ours (`orchestr.forges.body_markers`).
"""

from __future__ import annotations

import re

_ODD = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_REFERENCE = r"/(?:issues|pull|pulls|discussions|commit|merge_requests|-)(?:/|$)"
_TOKEN = re.compile(
    r"""
      (?P<code> (?<![`\\]) (?P<fence>`+) (?!`) (?P<inner>.+?) (?<!`) (?P=fence) (?!`) )
    | (?P<url> https?:// [^\s<>`"]+ )
    | (?P<call> (?<![A-Za-z0-9]) @ [A-Za-z0-9] [\w./@\#-]* )
    | (?P<number> (?: (?<!\w) [\w.-]+ (?: / [\w.-]+ )? )? \# \d+ [\w./@\#-]*
                | (?<![A-Za-z0-9]) GH- \d+ [\w./@\#-]* )
    """,
    re.VERBOSE,
)
_LEADING = re.compile(r"(?P<sign>[-+#>=])|(?P<digits>\d+)(?P<dot>[.)])(?=\s|$)")
_SIGNS = re.compile(r"[\\`*\[\]~$|<&]|-->|(?<![^\W_])_|_(?![^\W_])")


def one_line(text: str) -> str:
    """The text with every run of white space as one space; control characters are gone."""
    return " ".join(_ODD.sub(" ", text).split())


def literal_text(text: str, *, limit: int = 600) -> str:
    """Foreign text as inline Markdown that shows it literally; cut at ``limit`` characters."""
    line = one_line(text)
    if len(line) > limit:
        line = line[: limit - 1].rstrip() + "…"
    parts: list[str] = []
    at = 0
    for match in _TOKEN.finditer(line):
        parts += [_escape_signs(line[at : match.start()]), _render_token(match)]
        at = match.end()
    parts.append(_escape_signs(line[at:]))
    return _escape_block_start("".join(parts))


def inline_code(text: str) -> str:
    """Foreign text as inline code, whatever backticks it holds."""
    line = one_line(text)
    if not line:
        return ""
    if "<!--" in line or "-->" in line:
        return _escape_block_start(_escape_signs(line))
    fence = "`"
    while re.search(rf"(?<!`){fence}(?!`)", line):
        fence += "`"
    pad = " " if line[0] == "`" or line[-1] == "`" else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def render_link(url: str) -> str:
    """An address from a forge: bare where forges make a link of it, else as code."""
    return url if re.fullmatch(r"https?://[\w.:/#?=&%~+-]+", url) else inline_code(url)


def _render_token(match: re.Match[str]) -> str:
    text = match[0]
    if match["code"]:
        return _escape_signs(text) if "<!--" in text or "-->" in text else text
    if match["url"]:
        # A thread's address counts as a mention of it; every other one may stay a link.
        quiet = re.search(_REFERENCE, text) is None and "--" not in text
        return text if quiet else inline_code(text)
    return inline_code(text)


def _escape_signs(text: str) -> str:
    return _SIGNS.sub(_escape_match, text)


def _escape_match(match: re.Match[str]) -> str:
    sign = match[0]
    return {"<": "&lt;", "&": "&amp;", "-->": "--&gt;"}.get(sign, f"\\{sign}")


def _escape_block_start(line: str) -> str:
    """No heading, quote, list or rule where the text stands at the start of a block."""
    match = _LEADING.match(line)
    if match is None:
        return line
    if match["sign"]:
        return f"\\{line}"
    return f"{match['digits']}\\{match['dot']}{line[match.end() :]}"
