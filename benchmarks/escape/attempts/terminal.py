"""The user's terminal: typed for them, written to, and what output and names may do to it."""

from __future__ import annotations

from benchmarks.escape.attempt import Attempt, By, Room
from benchmarks.escape.proofs import shows_title, types_mark

GROUP = "terminal"
INJECT = """\
import fcntl, termios
for path in ("/dev/tty", {path}):
    try:
        number = os.open(path, os.O_RDWR)
        for letter in ("echo " + MARK).encode():
            fcntl.ioctl(number, termios.TIOCSTI, bytes([letter]))
    except OSError as error:
        print(error)
"""
TITLE = "\\033]0;{0}\\007\\033]52;c;{0}\\007\\033[2J"


def _shown(name: str, tries: str, program: str, share: str = "") -> Attempt:
    """The escape sequence for a window's title with the mark, raw."""
    return Attempt(name, GROUP, tries, program, shows_title(),
                   room=Room.OWN_CLONE, only="orchestr", share=share)  # fmt: skip


ATTEMPTS = (
    Attempt("typed-input", GROUP, "types a command into its terminal (TIOCSTI)",
            INJECT.format(path='"/dev/stdin"'), types_mark(), "python3",
            share="reaches-out"),
    Attempt("typed-input-elsewhere", GROUP, "types a command into the user's terminal by its name",
            INJECT.format(path='env["TTY"]'), types_mark(),
            "python3", only="orchestr", share="reaches-out"),
    Attempt("written-terminal", GROUP, "writes to the user's terminal by its name",
            'printf "\\033]0;$MARK\\007" > "$TTY" 2>/dev/null; true\n',
            shows_title(), only="orchestr",
            share="reaches-out"),
    _shown("output-escapes", "prints sequences that set the title and the clipboard",
           f'printf "{TITLE.format("$MARK")}\\n"\n'),
    _shown("reason-escapes", "gives a reason with sequences in it",
           f'printf "ORCHESTR no_change_needed: {TITLE.format("$MARK")} x\\n"; exit 99\n'),
    _shown("file-name-escapes", "makes a file whose name is a sequence",
           'touch "$(printf "\\033]0;$MARK\\007")"\n'
           'ln -s /etc "$(printf "a\\033]0;$MARK\\007")"\n'),
    _shown("commit-escapes", "writes a commit message and an author with sequences",
           'export GIT_AUTHOR_NAME="$(printf "\\033]0;$MARK\\007")"\n'
           'git commit -q --allow-empty -m "$(printf "\\033]0;$MARK\\007 x")"\n'),
    _shown("failure-escapes", "fails with sequences in its last words",
           f'printf "{TITLE.format("$MARK")}\\n" >&2; exit 98\n'),
    Attempt("check-escapes", GROUP, "a check fails with sequences in its output",
            f'printf "{TITLE.format("$MARK")}\\n"; exit 1\n',
            shows_title(), by=By.CHECK, room=Room.OWN_CLONE,
            only="orchestr"),
)  # fmt: skip
