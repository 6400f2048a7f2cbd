"""A process of the user that has nothing to do with any cell; attempts look into it and end it.

Started as `python victim.py --password=SECRET FILE`, with another secret in its environment and two
on stdin: one stays in memory, one in a file that has no name any more. It says `ready`, the
addresses of a buffer and of the secret, and the number of the descriptor. At the end of stdin it
writes the buffer into FILE.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile


def main() -> None:
    """See the module."""
    memory, hidden = (bytes.fromhex(sys.stdin.readline()) for _ in range(2))
    buffer = ctypes.create_string_buffer(b"untouched", 256)
    secret = ctypes.create_string_buffer(memory, 256)
    with tempfile.TemporaryFile() as stream:
        stream.write(hidden)
        stream.flush()
        print("ready", ctypes.addressof(buffer), ctypes.addressof(secret), stream.fileno(),
              flush=True)  # fmt: skip
        sys.stdin.read()
        with open(sys.argv[2], "wb") as out:  # noqa: PTH123 -- nothing but what it needs
            out.write(buffer.value)


if __name__ == "__main__":
    main()
