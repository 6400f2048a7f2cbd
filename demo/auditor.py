"""The scripted auditor of the demo: judges the feature sdk-version as a whole, and answers in JSON.

It is run in a folder with a checkout of each repository's merged work, side by side; the statements
to judge and the form of the answer are in $ORCHESTR_PROMPT_FILE. It asks every SDK for its version,
as a person would, and names the file that gives a wrong answer: by that the cell that made it is
found.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

PLACES = {"java-sdk": "sdk/cli.sh", "web-sdk": "lib/cli.sh"}


def ask_version(repo: str, path: str) -> str:
    """What the command line of an SDK says of its version."""
    done = subprocess.run(
        ["sh", path, "version"], cwd=repo, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr.strip()


def judge() -> dict[str, object]:
    """The finding about the one statement."""
    wrong, said = [], []
    for repo, path in PLACES.items():
        if not Path(repo, path).is_file():
            continue
        answer = ask_version(repo, path)
        said.append(f"`{repo}/{path} version` prints `{answer}`")
        if not re.fullmatch(rf"{repo} \d+\.\d+\.\d+", answer):
            wrong.append({"repo": repo, "path": path, "line": None})
    return {
        "statement": "1",
        "state": "failed" if wrong else "passed",
        "detail": "a name and a version of three numbers are wanted" if wrong else "",
        "evidence": "; ".join(said),
        "places": wrong,
    }


def main() -> int:
    time.sleep(float(os.environ.get("DEMO_PAUSE") or 0.3))
    json.dump({"summary": "I asked every SDK for its version.", "findings": [judge()]}, sys.stdout)
    print()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
