"""What an agent must keep, tried against a model that plays a script (docs/agents.md).

`promises.py` declares them; `orchestr doctor --agent` and `tests/conformance` try them.
"""
