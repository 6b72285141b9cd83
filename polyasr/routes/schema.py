"""Pieces of the OpenAPI document: the kinds of values, as JSON Schema has them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]

STRING, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}
BOOLEAN = {"type": "boolean"}


def ref(name: str) -> Json:
    """One of the schemas in `bodies.SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Json:
    """An object with these properties."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


def listed(item: Json) -> Json:
    """A list of such items."""
    return {"type": "array", "items": item}


def text(description: str = "", *, values: Iterable[str] = (), default: str = "") -> Json:
    """A string; ``values`` are all that it may be."""
    schema: Json = {"type": "string", "description": description}
    if values:
        schema["enum"] = list(values)
    if default:
        schema["default"] = default
    return schema


def event_stream(description: str) -> Json:
    """Server-sent events, of each of which the data is JSON or `[DONE]`."""
    return {**record({"data": STRING}), "description": description}


def switch(description: str, *, default: bool) -> Json:
    """Yes or no."""
    return {"type": "boolean", "description": description, "default": default}


def whole(description: str, most: int) -> Json:
    """A whole number from 1 on."""
    return {"type": "integer", "minimum": 1, "maximum": most, "description": description}
