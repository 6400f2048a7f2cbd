"""The form of our answers in conversations on a forge: a hidden key makes each one unique.

Pure, and the same for every forge. A kill between sending an answer and recording it leaves open
whether it took: the key in the text is what says so at the next try.
"""

from __future__ import annotations

import re

from orchestr.forges.followed import Thread
from orchestr.forges.markdown_escape import literal_text

_UNFIT = re.compile(r"[^A-Za-z0-9_.:/#=+@-]|-(?=-)")  # `--` ends an HTML comment
_MARKER = re.compile(r"(?:^|\n)<!-- orchestr:answer \S+ -->\Z")
LONGEST = 60_000  # characters of an answer: forges refuse what is longer than 65,536
_SAID = "<!-- orchestr:said -->"
_OURS = re.compile(r"<!-- orchestr:(said|answer [A-Za-z0-9_.:/-]+) -->\s*\Z")
QUOTED = 200  # characters of the line that a general answer quotes


def answer_marker(key: str) -> str:
    """The line that carries the key of an answer; people do not see it."""
    return f"<!-- orchestr:answer {_UNFIT.sub('_', key)} -->"


def write_answer(thread: Thread, body: str, key: str) -> str:
    """The text of an answer. The general conversation has no threads, so an answer in it quotes
    what it answers."""
    quote = "" if thread.path else quote_first_line(thread)
    body = body.strip()[:LONGEST].replace(
        "<!--", "&lt;!--"
    )  # a comment left open would hide the key
    return f"{quote}{body}\n\n{answer_marker(key)}"


def quote_first_line(thread: Thread) -> str:
    """The author and the first line of what a thread begins with, as a quotation."""
    first = thread.comments[0]
    said = next((line.strip() for line in first.body.splitlines() if line.strip()), "")
    return f"> {literal_text(first.author)}: {literal_text(said, limit=QUOTED)}\n\n"


def has_answer(body: str, key: str) -> bool:
    """Whether a text of ours is the answer with this key: its last line says so. What stands above
    may be a person's words."""
    return body.rstrip().endswith(answer_marker(key))


def hide_marker(body: str) -> str:
    """A text as people see it on a forge's page."""
    return _MARKER.sub("", body.rstrip()).rstrip()


def mark_said(body: str) -> str:
    """A text of ours that answers nothing, with a hidden line that says whose it is: the login may
    be that of a person who writes there, too."""
    return f"{body}\n\n{_SAID}"


def is_marked(body: str) -> bool:
    """Whether a text of this login is orchestr's: its last line says so."""
    return _OURS.search(body) is not None


def strip_said(body: str) -> str:
    """A text as it was before `mark_said`."""
    text = body.rstrip()
    return text.removesuffix(_SAID).removesuffix("\n\n") if text.endswith(_SAID) else body
