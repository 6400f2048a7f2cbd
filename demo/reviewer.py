"""The scripted reviewer of the demo: reads a change and answers in JSON, as a reviewing agent does.

It is run on a checkout of its own, at the change; what it is asked, with the form of the answer, is
in $ORCHESTR_PROMPT_FILE. It looks for one thing that tests seldom catch: bytes that come from
outside and are sliced without a check of their number.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path


def changed() -> list[str]:
    """The files of the change."""
    span = [os.environ["ORCHESTR_BASE"], os.environ["ORCHESTR_HEAD"]]
    words = ["git", "diff", "--name-only", "--diff-filter=d", *span]
    return subprocess.check_output(words, text=True).splitlines()


def issues_in(path: str) -> list[dict[str, object]]:
    """Slices of a parameter in a Go file without a check of its length."""
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    found: list[dict[str, object]] = []
    for number, line in enumerate(lines, start=1):
        cut = re.search(r"\b(\w+)\[:(\w+)\]", line)
        before = "\n".join(lines[max(0, number - 8) : number - 1])
        if cut is None or f"len({cut[1]}) < {cut[2]}" in before:
            continue
        found.append(
            {
                "title": f"A short {cut[1]} ends the service",
                "description": f"`{cut[1]}` comes from the request and is cut at {cut[2]} without "
                "a look at its length; a shorter one panics. Refuse it with an error.",
                "severity": "blocker",
                "places": [{"path": path, "line": number}],
                "evidence": f"{path}:{number}: `{line.strip()}` with an empty key: slice bounds "
                "out of range",
            }
        )
    return found


def main() -> int:
    time.sleep(float(os.environ.get("DEMO_PAUSE") or 0.3))
    files = changed()
    print(f"reading {len(files)} changed files", flush=True)
    found = [issue for path in files if path.endswith(".go") for issue in issues_in(path)]
    time.sleep(float(os.environ.get("DEMO_PAUSE") or 0.3))
    summary = f"I read {len(files)} files against the task."
    json.dump({"summary": summary, "issues": found}, sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
