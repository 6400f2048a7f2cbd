"""A `git` first on PATH that the machine ends: at one call, or at every call of a command.

A real program around the real git, for whoever finds it on PATH. Agents and checks get it as well,
and without the variables that arm it: it only passes their calls on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

# How a call ends. `after`: git has done it, and its caller does not learn that.
KILL = "kill -9 $$"
AFTER = '"$real" "$@" >/dev/null 2>&1; kill -9 $$'
NO_MEMORY = 'echo "fatal: Out of memory, malloc failed (tried to allocate 9 bytes)" >&2; exit 128'
NO_ROOM = 'echo "fatal: sha1 file write error: No space left on device" >&2; exit 128'
CHILD = 'echo "error: index-pack died of signal 9" >&2; exit 128'
NO_FILES = 'echo "fatal: open /dev/null or dup failed: Too many open files" >&2; exit 128'

SCRIPT = """\
#!/bin/sh
real=REAL
[ -n "$FAULT_DIR" ] || exec "$real" "$@"
case " $* " in *"$FAULT_WORDS"*) ;; *) exec "$real" "$@" ;; esac
printf x >> "$FAULT_DIR/count"
[ "$(stat -c %s "$FAULT_DIR/count")" -ge "$FAULT_AT" ] || exec "$real" "$@"
hit=1
while [ "$hit" -le "$FAULT_TIMES" ]; do
    if mkdir "$FAULT_DIR/hit-$hit" 2>/dev/null; then
        echo "$*" > "$FAULT_DIR/hit-$hit/words"
        eval "$FAULT_HOW"
    fi
    hit=$((hit + 1))
done
exec "$real" "$@"
"""


class BrokenGit:
    """The program in a folder of its own, and the environment that arms it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        program = folder / "bin" / "git"
        real = shutil.which("git")
        assert real is not None
        program.write_text(SCRIPT.replace("REAL", real))
        program.chmod(0o755)

    def env(self, how: str = KILL, *, words: str = "", at: int = 1, times: int = 1,
            ) -> Mapping[str, str]:  # fmt: skip
        """Of the ``at``-th call with ``words`` on, ``times`` calls end so."""
        shutil.rmtree(self.folder / "book", ignore_errors=True)
        (self.folder / "book").mkdir()
        return {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "FAULT_DIR": str(self.folder / "book"),
            "FAULT_WORDS": words,
            "FAULT_AT": str(at),
            "FAULT_TIMES": str(times),
            "FAULT_HOW": how,
        }

    def calls(self) -> int:
        """How many calls with these words there were."""
        book = self.folder / "book" / "count"
        return book.stat().st_size if book.exists() else 0

    def hits(self) -> list[str]:
        """The command lines of the calls that were ended."""
        found = sorted((self.folder / "book").glob("hit-*/words"))
        return [path.read_text().strip() for path in found]
