"""`python -m orchestr`."""

import sys

from orchestr.cli import main

if __name__ == "__main__":
    sys.exit(main())
