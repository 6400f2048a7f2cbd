"""`schema`: the JSON schema of a spec, for editors and for checks elsewhere."""

from __future__ import annotations

import json
import sys
from typing import Any

from orchestr.commands.base.verb import PlainVerb
from orchestr.run.workspace import Session


class Schema(PlainVerb):
    """Needs no workspace."""

    doc_purpose = "print the JSON schema of a spec"
    doc_usage = ""
    help_group = "workspace"
    only_reads = True
    examples = (("schema > spec.schema.json", "for an editor"),)
    needs_workspace = False

    def run_verb(self, session: Session, params: Any, args: list[str]) -> int:
        """Print it."""
        from orchestr.spec.validate import json_schema

        sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
        return 0
