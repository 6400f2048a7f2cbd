"""An attempt's program as files: `NAME.sh` with the variables that name the scene, and `NAME.py`.

Every program knows NAME and MARK, HOME, WS (the workspace), CLONE and COMMON (its `.git`), ORIGIN,
CANARY (the file that planted code makes), RUN (the sockets), PYTHON, ORCHESTR, ADDRESS and the
ports, TTY (the user's terminal), VICTIM with BUFFER, SECRET and DESCRIPTOR, GATE and UPSTREAM
(cells of its own), and the functions `take` (say what is secret in these files), `claim` and `free`
(git without the tool's settings).
"""

from __future__ import annotations

import sys
from shlex import quote

from benchmarks.common import ROOT
from benchmarks.escape.attempt import Attempt
from benchmarks.escape.scene import PYTHON, SEGMENT, Scene

HEAD = """\
# {tries}
{variables}
take() {{
    grep -aho 'bait-[a-z0-9-]*' "$@" 2>/dev/null | sort -u | od -An -v -tx1 | tr -d ' \\n'; echo
}}
echo "began-$MARK"
claim() {{ echo "claimed-$MARK"; }}
free() {{ env -i PATH="$PATH" HOME="$HOME" git "$@"; }}
"""
PYTHON_HEAD = """\
import ctypes, os, signal, socket, struct, subprocess, sys, time
env = os.environ
NAME, MARK, HOME, RUN = env["NAME"], env["MARK"], env["HOME"], env["RUN"]
def claim(): print("claimed-" + MARK, flush=True)
def say(data): print(data.hex(), flush=True)
"""


def write_programs(scene: Scene) -> None:
    """Every attempt's program below `scene.hostile`."""
    for attempt in scene.attempts:
        place = scene.hostile / f"{attempt.name}.sh"
        head = HEAD.format(tries=attempt.tries, variables=_name_places(scene, attempt))
        if attempt.language == "sh":
            place.write_text(f"{head}{attempt.program}\nexit 0\n", encoding="utf-8")
        else:
            script = place.with_suffix(".py")
            script.write_text(PYTHON_HEAD + attempt.program, encoding="utf-8")
            place.write_text(f'{head}exec "$PYTHON" -I {quote(str(script))}\n', encoding="utf-8")


def _name_places(scene: Scene, attempt: Attempt) -> str:
    clone, origin = scene.clone(attempt.repo), scene.origin(attempt.repo)
    values = {
        "NAME": attempt.name, "MARK": attempt.mark, "HOME": scene.home, "WS": scene.workspace,
        "CELLS": scene.workspace / ".orchestr/cells/escape", "CLONE": clone,
        "COMMON": clone / ".git", "ORIGIN": origin, "CANARY": scene.canary(attempt.name),
        "RUN": scene.runtime, "PYTHON": PYTHON, "SEGMENT": SEGMENT,
        "ORCHESTR": f"{sys.executable} -m orchestr",
        "PYTHONPATH_OF_IT": ROOT, "ADDRESS": scene.address, "DISPLAY_NUMBER": scene.display,
        "ABSTRACT": f"escape-{scene.root.name}", "TTY": scene.terminal,
        "GATE": f"gate-{attempt.name}", "UPSTREAM": f"upstream-{attempt.name}",
        "PORT_LOOPBACK": scene.ports["loopback"], "PORT_V6": scene.ports["loopback-v6"],
        "PORT_ADDRESS": scene.ports["own-address"], "PORT_UDP": scene.ports["udp"],
    }  # fmt: skip
    if attempt.name in scene.victims:
        victim = scene.victims[attempt.name]
        values |= {"VICTIM": victim.pid, "BUFFER": victim.buffer, "SECRET": victim.secret,
                   "DESCRIPTOR": victim.descriptor}  # fmt: skip
    return "\n".join(f"export {name}={quote(str(value))}" for name, value in values.items())
