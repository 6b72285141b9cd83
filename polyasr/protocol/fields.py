"""Reading and writing the fields of text messages, which are JSON objects."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeGuard, TypeVar

from polyasr.errors import ProtocolError

MAX_ID = 256
"""Characters of an id, which outlives the connection that brought it."""
MAX_SHOWN = 60
"""Characters of a peer's value that an error message repeats."""

HALF_A_PAIR = re.compile("[\ud800-\udfff]")
"""JSON can spell half of a surrogate pair, which is no text and cannot be sent back."""

ENCODER = json.JSONEncoder(ensure_ascii=False)

Fields = Mapping[str, Any]
RequestId = str | int
T = TypeVar("T")


def dump(kind: str, **fields: object) -> str:
    """A message as it goes over the wire; fields that are None are left out."""
    said = {name: value for name, value in fields.items() if value is not None}
    return ENCODER.encode({"type": kind, **said})


def parse_object(text: str) -> Fields:
    """A text message's fields. Raises ProtocolError ``invalid_json``."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("invalid_json", f"a text message is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ProtocolError(
            "invalid_json", f"a text message must be a JSON object, not {shown(value)}"
        )
    return value


def check_id(name: str, value: str) -> None:
    """Raises ProtocolError for an id that is too long to be kept."""
    if len(value) > MAX_ID:
        raise unsupported(f"{name} is {len(value)} characters long, the limit is {MAX_ID}")


def request_id(fields: Fields) -> RequestId:
    """The ``id`` by which a client knows the answer again; absent and null are ""."""
    value = fields.get("id")
    if not is_int(value):
        value = text_of(fields, "id")
    check_id("id", str(value))
    return value


def text_of(fields: Fields, name: str) -> str:
    """A client's text; absent and null are ""."""
    value = fields.get(name)
    if value is None:
        return ""
    if not is_text(value):
        raise unsupported(f"{name} is {shown(value)}, it must be a text")
    return value


def required(fields: Fields, name: str, kind: type[T]) -> T:
    """A field that a message must have. Raises ProtocolError."""
    value = fields.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise unsupported(
            f"a message of type {shown(fields.get('type'))} has {shown(value)} for {name}"
        )
    return value


def seconds(fields: Fields, name: str) -> float:
    """A time, which a message must have. Raises ProtocolError."""
    value = fields.get(name)
    return float(value if is_int(value) else required(fields, name, float))


def switch(fields: Fields, name: str) -> bool | None:
    """A client's yes or no; None when it says nothing. Raises ProtocolError."""
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise unsupported(f"{name} is {shown(value)}, it must be true or false")
    return value


def objects(fields: Fields, name: str) -> list[Fields] | None:
    """A list of objects that a message may have. Raises ProtocolError."""
    values: list[Any] | None = optional(fields, name, list)
    if values is not None and not all(isinstance(value, dict) for value in values):
        raise unsupported(f"a message of type {shown(fields.get('type'))} has odd {name}")
    return values


def optional(fields: Fields, name: str, kind: type[T]) -> T | None:
    """A field that a message may have; absent and null are None. Raises ProtocolError."""
    return None if fields.get(name) is None else required(fields, name, kind)


def is_text(value: object) -> TypeGuard[str]:
    """Whether it is a text that can be sent back."""
    return isinstance(value, str) and not HALF_A_PAIR.search(value)


def is_int(value: object) -> TypeGuard[int]:
    """Whether it is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def unsupported(message: str) -> ProtocolError:
    """The error for what the contract does not know."""
    return ProtocolError("unsupported_message", message)


def either(words: Mapping[str, object]) -> str:
    """The words as a choice: "a, b or c"."""
    *most, last = words
    return f"{', '.join(most)} or {last}"


def shown(value: object) -> str:
    """A peer's value in an error message: short, ASCII, and never walked into."""
    match value:
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            written = json.dumps(value)
            return written if len(written) <= MAX_SHOWN else written[: MAX_SHOWN - 1] + "…"
