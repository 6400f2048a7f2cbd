"""`python -m orchestr.supervisor ATTEMPT_DIR`: the process that runs one agent to its end."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from orchestr.supervisor.main import main

if __name__ == "__main__":
    with suppress(OSError):
        os.setsid()  # by hand, in a terminal; `supervisor.client.start` has done it
    sys.exit(main(Path(sys.argv[1])))
