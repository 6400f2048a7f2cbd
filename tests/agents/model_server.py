"""The scripted model of the package, under the name that these tests know."""

from orchestr.conformance.dialects import STRUCTURED
from orchestr.conformance.model_server import ModelServer
from orchestr.conformance.script import (
    CACHED,
    INPUT,
    OUTPUT,
    Answer,
    Asked,
    Fault,
    Run,
    Say,
    Turn,
    Use,
    Write,
)

__all__ = [
    "CACHED",
    "INPUT",
    "OUTPUT",
    "STRUCTURED",
    "Answer",
    "Asked",
    "Fault",
    "ModelServer",
    "Run",
    "Say",
    "Turn",
    "Use",
    "Write",
]
