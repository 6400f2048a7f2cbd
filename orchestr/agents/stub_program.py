"""The agent of `orchestr run --stub`: costs nothing, reads nothing, makes one small marked change.

Run by path as a command agent, so it imports nothing of ours. `$STUB_PATHS` is a JSON object:
FEATURE/CELL, or FEATURE/CELL/PHASE for a phase of one's own that may change less than its cell ->
the path that it may change, "" for none. A repair changes nothing: a stub cannot repair, and the
round ends. Who asks for JSON (`$ORCHESTR_SCHEMA`: reviewers and the like) gets the least value of
that form, which finds nothing wrong; a phase with an output of any form gets `{}`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

MARK = "orchestr run --stub: nothing here is real work"
GOOD = ("passed", "approved", "ok")  # of an enumeration, what finds nothing wrong


def make_least_value(schema: dict[str, Any]) -> Any:
    """The least value that a JSON schema allows.

    >>> make_least_value({"type": "object", "properties": {"a": {"type": "array"}},
    ...                   "required": ["a"]})
    {'a': []}
    """
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return next((word for word in GOOD if word in schema["enum"]), schema["enum"][0])
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        fields = schema.get("properties", {})
        return {name: make_least_value(fields.get(name, {})) for name in schema.get("required", ())}
    if kind == "array":
        return [make_least_value(schema.get("items", {}))] * int(schema.get("minItems", 0))
    return {"string": MARK, "boolean": True, "null": None}.get(kind, schema.get("minimum", 0))


def make_answer(schema: dict[str, Any], statements: int) -> Any:
    """The least answer; of an auditor a finding for each of so many statements."""
    answer = make_least_value(schema)
    if statements:
        finding = make_least_value(schema["properties"]["findings"]["items"])
        numbers = range(1, statements + 1)
        answer["findings"] = [{**finding, "statement": str(number)} for number in numbers]
    return answer


def main() -> int:
    """Do what is asked of an agent, in the folder where it was started."""
    asked = os.environ
    if asked.get("ORCHESTR_SCHEMA"):
        schema = json.loads(asked["ORCHESTR_SCHEMA"])
        print(json.dumps(make_answer(schema, int(asked.get("ORCHESTR_STATEMENTS") or 0))))
    elif asked.get("ORCHESTR_OUTPUT_FILE"):
        print("{}")
    elif asked.get("ORCHESTR_PLAN_FILE"):
        print(f"# Plan of a stub\n\n{MARK}. It would change one file.")
    elif asked.get("ORCHESTR_REPAIR"):
        print("a stub repairs nothing")
    else:
        key = f"{asked.get('ORCHESTR_FEATURE')}/{asked.get('ORCHESTR_CELL')}"
        places = json.loads(Path(asked["STUB_PATHS"]).read_text(encoding="utf-8"))
        place = places.get(f"{key}/{asked.get('ORCHESTR_PHASE')}", places[key])
        if not place:
            print("stub: there is no path that it may change")
            return 0
        path = Path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        line = f"{MARK} ({key}, attempt {asked.get('ORCHESTR_ATTEMPT')})\n"
        if "orchestr-stub" not in path.name:  # a file of the repository: an empty line at its end
            line = "\n"
        with path.open("a", encoding="utf-8") as stream:
            stream.write(line)
        print(f"stub: changed {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
