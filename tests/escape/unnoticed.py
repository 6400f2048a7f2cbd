"""What gets through without a word, and why: by wall, attempt by attempt.

The tests compare it exactly, so it can only become shorter: what is stopped or noticed one day has to
be taken out here, and what gets through is a failure unless there is a reason here.
"""

from __future__ import annotations

from collections.abc import Mapping

READS = "without a wall an agent reads what its user can read"
HOME = "without a wall it writes what its user can write; other files than ours are not looked at"
REACHES = "without a wall it reaches what its user can reach"
PROCESSES = "without a wall it is a process of its user like any other"
