"""How likely a change is red on its target: from its own evidence, and from this landing.

Pure. A risk is a probability between 0 and 1 that a candidate of this change alone is red. The
weights are judgement, not a fit: no queue of real changes was at hand to fit them to. So only
their order is relied on (what to check first), and the level follows the landing itself
(`adjust_risk`): where half of it is red, all risks rise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

USUAL = 0.1  # the risk of a change of which nothing is known, before a landing has shown anything
TRUST = 10  # so many changes of a landing count as much as `USUAL`
LEAST, MOST = 0.005, 0.95  # nothing is certain: an unlikely outcome must stay worth a check
CLASS = 0.5  # log-odds; risks that differ by less keep the order of the plan


@dataclass(frozen=True, slots=True)
class ChangeEvidence:
    """What is known of a change before it is checked on its target; None: unknown.

    ``checked``: checks were green on its own head; ``lines``: added and removed; ``shared``: how
    many other changes of the landing have a path in common with it; ``rounds``: repairs that its
    checks needed; ``objections``: repairs that its reviewers asked for.
    """

    checked: bool = True
    lines: int | None = None
    shared: int | None = None
    rounds: int | None = None
    objections: int | None = None


def estimate_risk(evidence: ChangeEvidence) -> float:
    """The probability that the change is red on its target."""
    score = _log_odds(USUAL) + (0.0 if evidence.checked else 1.0)
    if evidence.lines is not None:
        score += _bounded(0.35 * math.log2((evidence.lines + 1) / 60), -1.2, 1.2)
    if evidence.shared is not None:
        score += 0.5 * min(evidence.shared, 3) if evidence.shared else -0.5
    if evidence.rounds is not None:
        score += 0.5 * min(evidence.rounds, 4) - 0.4
    if evidence.objections is not None:
        score += 0.4 * min(evidence.objections, 3) - 0.2
    return _bounded(_probability(score), LEAST, MOST)


def adjust_risk(risk: float | None, green: int, red: int) -> float:
    """A risk (None: unknown) at the level of a landing in which so many changes were green and red
    on their target."""
    level = (USUAL * TRUST + red) / (TRUST + green + red)
    shift = _log_odds(level) - _log_odds(USUAL)
    known = USUAL if risk is None else _bounded(risk, LEAST, MOST)
    return _bounded(_probability(_log_odds(known) + shift), LEAST, MOST)


def risk_class(risk: float | None) -> int:
    """Risks of one class are about the same: the order among them is another matter's."""
    known = USUAL if risk is None else _bounded(risk, LEAST, MOST)
    return round((_log_odds(known) - _log_odds(USUAL)) / CLASS)


def combine_risks(risks: Iterable[float]) -> float:
    """The probability that one or more of these is red."""
    return 1.0 - math.prod(1.0 - risk for risk in risks)


def _log_odds(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


def _probability(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds))


def _bounded(value: float, least: float, most: float) -> float:
    return max(least, min(most, value))
