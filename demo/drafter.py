"""The scripted drafting agent of the demo: reads the prompt of `orchestr draft`, answers in YAML.

Like a real one it asks where the words leave the scope open, and its first draft has a mistake (a
cell without checks), which the engine sends back. Only the answer goes to stdout.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

SDKS = {"java": ("java-sdk", "sdk/cli.sh"), "web": ("web-sdk", "lib/cli.sh")}
QUESTION = """\
kind: Question
questions:
  - {key: sdks, ask: "Which SDKs shall have it?", options: [java, web, java and web]}
"""
HEAD = """\
apiVersion: orchestr/v1
kind: Feature
metadata: {name: NAME, title: Every SDK says which version it is}
intent: A report of a fault must name the version of the SDK.
done_means: ["`cli.sh version` of every SDK prints its name and version"]
non_goals: [a version in the wire format]
defaults: {timeout: 5m}
auditors: [{agent: auditor}] # judges what the cells come to together
cross_checks: # the tests wake up on the SDKs as they were made
  - kind: command
    repo: tests
    name: xtest
    run: [sh, -c, 'XTEST_SDKS="PLACES" exec sh run.sh']
cells:
  tests:
    repo: tests
    owned_paths: [xtest/**]
    allow_skipped_tests: true
    checks: [{kind: command, name: tests, run: [sh, run.sh]}]
    todo:
      - Add xtest/test_version.py; it sleeps until an SDK's cli.sh supports sdk-version.
"""
CELL = """\
  {repo}:
    repo: {repo}
    owned_paths: [{cli}]
{checks}    todo:
      - Let {cli} answer `version` with the SDK's name and version, and support sdk-version.
"""
CHECKS = "    checks: [{kind: command, name: tests, run: [sh, tests/run.sh]}]\n"


def draft(name: str, chosen: list[str], *, careless: bool) -> str:
    """The spec; the careless one forgets the checks of its last cell."""
    places = [f"$ORCHESTR_CELL_{SDKS[one][0].upper().replace('-', '_')}_WORKTREE/{SDKS[one][1]}"
              for one in chosen]  # fmt: skip
    text = HEAD.replace("NAME", name).replace("PLACES", ":".join(places))
    for one in chosen:
        repo, cli = SDKS[one]
        checks = "" if careless and one == chosen[-1] else CHECKS
        text += CELL.format(repo=repo, cli=cli, checks=checks)
    return text


def main() -> int:
    prompt = Path(os.environ["ORCHESTR_PROMPT_FILE"]).read_text(encoding="utf-8")
    print(
        f"reading {', '.join(sorted(path.name for path in Path().iterdir()))}",
        file=sys.stderr,
        flush=True,
    )
    time.sleep(float(os.environ.get("DEMO_PAUSE") or 0.3))
    answered = re.search(r"^- sdks: (.+)$", prompt, re.MULTILINE)
    if answered is None:
        text = QUESTION
    else:
        chosen = [one for one in SDKS if one in answered[1]] or list(SDKS)
        careless = "has no checks" not in prompt
        text = draft(os.environ["ORCHESTR_FEATURE"], chosen, careless=careless)
    print(f"```yaml\n{text}```", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
