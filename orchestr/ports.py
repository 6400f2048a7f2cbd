"""Ports for cells: blocks of ten, leased in the registry, tested by binding (rows X23, D82-D86).

A lease lasts from the first need to the cell's end (`Registry.release`). It is made under the
registry's lock, so two cells never get the same block, whoever asks first (D85). The block depends
on nothing random (D84): it is the first free one.
"""

from __future__ import annotations

from collections.abc import Sequence

SIZE = 10


def variables(ports: Sequence[int]) -> dict[str, str]:
    """The environment variables that tell a program its ports."""
    found = {f"ORCHESTR_PORT_{index}": str(port) for index, port in enumerate(ports)}
    if ports:
        found["BACKEND_PORT"] = str(ports[0])
        found["FRONTEND_PORT"] = str(ports[min(1, len(ports) - 1)])
        found["PORT_RANGE_START"] = str(min(ports))
        found["PORT_RANGE_END"] = str(max(ports))
        found["PORT_RANGE_SIZE"] = str(len(ports))
    return found
