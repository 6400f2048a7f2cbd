"""The command lines of the two programs of a sandbox's network: the proxy outside, the stub inside.

`orchestr.sandbox.enter` starts both within milliseconds, so this imports nothing that costs any.
"""

from __future__ import annotations

import sys

HERE = __file__.rpartition("/")[0]
ROOT = HERE.rsplit("/", 2)[0]
BOOT = "import sys; sys.path.append(sys.argv[1]); import orchestr.sandbox.proxy as p; p.main()"


def build_proxy_command(fd: int, rules_file: str, log_file: str, parent: int) -> list[str]:
    """The command line of a proxy whose starter is the process ``parent``."""
    words = [ROOT, str(fd), rules_file, log_file, str(parent)]
    return [sys.executable, "-I", "-S", "-c", BOOT, *words]


def build_listen_command(fd: int, ports: list[int], argv: list[str]) -> list[str]:
    """The command line that runs ``argv`` behind the listeners; ``ports`` is the stub's PLAN."""
    plan = ",".join(map(str, ports))
    return [sys.executable, "-I", "-S", f"{HERE}/listen.py", str(fd), plan, "--", *argv]
