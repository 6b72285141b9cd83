"""The results of commands as versioned JSON files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


class BadResult(ValueError):
    """The file is no result that this version can read."""


@dataclass(frozen=True, slots=True)
class Document(Generic[T]):
    """How a result of ``python -m bench COMMAND``, a ``kind``, is written.

    ``schema`` counts changes after which older files can no longer be read.
    """

    command: str
    schema: int
    kind: type[T]

    def write(self, result: T, file: Path) -> None:
        """Write a result for `read`. Raises OSError."""
        body = TypeAdapter(self.kind).dump_python(result, mode="json")
        document = {"schema": self.schema, "kind": self.command, **body}
        file.write_text(json.dumps(document, ensure_ascii=False) + "\n", "utf-8")

    def holds(self, file: Path) -> bool:
        """Whether it is a result of this command rather than of another. Raises OSError."""
        try:
            return bool(json.loads(file.read_text("utf-8"))["kind"] == self.command)
        except (ValueError, KeyError, TypeError):
            return False

    def read(self, file: Path) -> T:
        """Read what `write` wrote. Raises BadResult, and OSError."""
        if not self.holds(file):
            raise BadResult(f"{file} is not a result of `python -m bench {self.command}`")
        document = json.loads(file.read_text("utf-8"))
        if (schema := document.get("schema")) != self.schema:
            raise BadResult(f"{file} has schema {schema}; this version reads {self.schema}")
        try:
            return TypeAdapter(self.kind).validate_python(document)
        except ValidationError as error:
            raise BadResult(f"{file} is not a whole result: {error}") from error
