"""The audit of a feature: its last target, `feature:NAME:audit`, and what becomes of its findings.

`decide.py`, `findings.py` and `answer.py` are pure; `run_audit.py` performs, `send_back.py` opens
the repairs that were decided on.
"""
