"""Which view of a run fits where its output goes: a table, plain lines or JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from orchestr.plan.dag import FeaturePlan
from orchestr.state.replay import FeatureView
from orchestr.views.live.progress import CellText, JsonProgress, Progress


def make_progress(
    plans: FeaturePlan | Sequence[FeaturePlan],
    stream: TextIO | None = None,
    *,
    json: bool = False,
    out: TextIO | None = None,
    slots: int = 0,
    tail: CellText | None = None,
    log: CellText | None = None,
    environ: Mapping[str, str] | None = None,
    views: Mapping[str, FeatureView] | None = None,
) -> Progress:
    """The progress for this terminal: JSON on ``out``, or live or plain on ``stream``.

    ``stream`` is stderr and ``out`` is stdout unless told otherwise. ``slots`` is how many agents
    may work at once (0: not shown), ``views`` what was known before (the live table starts with
    it). ``tail`` gives the last words of a cell's agent, ``log`` the
    path to its transcript.
    """
    from orchestr.views.live.plain import PlainProgress

    chosen = [plans] if isinstance(plans, FeaturePlan) else list(plans)
    out = sys.stdout if out is None else out
    stream = sys.stderr if stream is None else stream
    if json:
        return JsonProgress(out)
    if can_draw(stream, os.environ if environ is None else environ):
        try:
            from orchestr.views.live.live import LiveProgress

            return LiveProgress(
                chosen,
                stream,
                slots=slots,
                tail=tail,
                log=log,
                keep=not is_terminal(out),
                views=views,
            )
        except (ImportError, OSError, ValueError):
            pass
    return PlainProgress(chosen, stream, log=log)


def can_draw(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """True when the stream is a terminal that can move its cursor."""
    return is_terminal(stream) and environ.get("TERM", "").lower() not in ("", "dumb", "unknown")


def is_terminal(stream: TextIO) -> bool:
    """``isatty`` of a stream that may be closed already."""
    try:
        return stream.isatty()
    except (OSError, ValueError, AttributeError):
        return False
