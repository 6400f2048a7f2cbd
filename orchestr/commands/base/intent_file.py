"""`specs/NAME.md`, the words of an intent: read, and never written over those of a person."""

from __future__ import annotations

from orchestr.draft.files import DraftPlaces, read_if_there
from orchestr.draft.intent import Intent, parse_intent, render_intent
from orchestr.errors import UsageError
from orchestr.files import display_path, write_atomic
from orchestr.run.workspace import Session


def read_known_intent(session: Session, places: DraftPlaces) -> Intent | None:
    """The intent that is there. Raises SpecError for a file that is none."""
    data = read_if_there(places.intent)
    shown = display_path(places.intent, session.root)
    return parse_intent(places.name, data, shown) if data is not None else None


def refuse_other_words(
    session: Session, places: DraftPlaces, known: Intent | None, text: str
) -> None:
    """A person's text is never replaced. Raises UsageError where the file has another one."""
    if known is not None and text.strip() != known.text.strip():
        shown = display_path(places.intent, session.root)
        raise UsageError(
            f"{shown} says something else already",
            hint=f"edit it, then: orchestr draft {places.name}",
        )


def write_intent(session: Session, places: DraftPlaces, intent: Intent) -> str:
    """Write the file; returns its name for people."""
    places.intent.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(places.intent, render_intent(intent))
    return display_path(places.intent, session.root)
