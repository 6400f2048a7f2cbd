"""The escape suite: small programs that try to get out of a cell, and what became of each.

`python -m benchmarks.escape` runs them against orchestr with each of its walls, or through an
adapter against another tool, and prints the table. An *attempt* is a program with what it tries and
how its success is proven from the outside; the *scene* is the user whose machine it runs on; an
*adapter* runs it in a tool's sandbox; the *judge* compares the scene with what the tool
reported to its user.
"""
