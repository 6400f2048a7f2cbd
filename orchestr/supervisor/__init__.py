"""The supervisor: a small process that owns one agent and all that it starts."""
