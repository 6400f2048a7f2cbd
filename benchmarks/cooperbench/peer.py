"""`merge-loop` and `serial` as programs of the protocol in README.md; they need nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def git(*words: str, check: bool = True) -> bool:
    """Whether git succeeds in the checkout."""
    done = subprocess.run(["git", "-C", "checkout", *words], check=False, capture_output=True)
    if check and done.returncode:
        sys.exit(f"git {' '.join(words)}: {done.stderr.decode(errors='replace')}")
    return done.returncode == 0


def main(kind: str) -> int:
    """Land every branch that merges (``serial``: and is green then). 1: not all of them."""
    env = os.environ
    target, left = env["COOPERBENCH_TARGET"], 0
    subprocess.run(["git", "clone", "--quiet", env["COOPERBENCH_ORIGIN"], "checkout"], check=True)
    patterns = env["COOPERBENCH_UNION"].splitlines()
    attributes = "".join(f"{pattern} merge=union\n" for pattern in patterns)
    Path("checkout/.git/info").mkdir(exist_ok=True)
    Path("checkout/.git/info/attributes").write_text(attributes, encoding="utf-8")
    for branch in env["COOPERBENCH_BRANCHES"].split():
        why = ""
        if not git("merge", "--quiet", "--no-ff", "--no-edit", f"origin/{branch}", check=False):
            why = "conflict"
            git("merge", "--abort", check=False)
        elif kind == "serial":
            done = subprocess.run([env["COOPERBENCH_CHECK"]], cwd="checkout", check=False,
                                  capture_output=True)  # fmt: skip
            why = "red" if done.returncode else ""
        if why:
            left += 1
            print(f"left {branch}: {why}", flush=True)
            git("reset", "--quiet", "--hard", f"origin/{target}")
            git("clean", "--quiet", "-dffx")
        else:
            git("push", "--quiet", "origin", f"HEAD:refs/heads/{target}")
    return int(left > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
