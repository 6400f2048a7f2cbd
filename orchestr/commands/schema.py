"""`schema [spec | settings]`: the JSON schema of a spec or of orchestr.toml, for editors."""

from __future__ import annotations

import json
import sys
from typing import Any

from orchestr.commands.base.verb import PlainVerb
from orchestr.errors import UsageError
from orchestr.run.workspace import Session


class Schema(PlainVerb):
    """Needs no workspace."""

    doc_purpose = "print the JSON schema of a spec, or of the settings"
    doc_usage = "[spec | settings]"
    help_group = "workspace"
    only_reads = True
    examples = (
        ("schema > spec.schema.json", "for an editor"),
        ("schema settings > orchestr.schema.json", "the one of orchestr.toml"),
    )
    needs_workspace = False

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Print it. Raises UsageError for a word that is neither `spec` nor `settings`."""
        from orchestr.settings.json_schema import settings_schema
        from orchestr.spec.validate import json_schema

        known = {"spec": json_schema, "settings": settings_schema}
        word = args[0] if args else "spec"
        if word not in known or len(args) > 1:
            shown = " ".join(args)
            raise UsageError(f"there is no schema {shown!r}", hint="orchestr schema settings")
        sys.stdout.write(json.dumps(known[word](), indent=2) + "\n")
        return 0
