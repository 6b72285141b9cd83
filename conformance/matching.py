"""Messages as transcripts spell them: values, and what stands for values.

==========================  ======================================================
in place of a value         what fits
==========================  ======================================================
``{"$absent": true}``       no such field
``{"$text": true}``         any text
``{"$number": true}``       any number
``{"$min": n}``             a number that is at least n
``{"$contains": "…"}``      a text with this in it
``{"$oneOf": […]}``         what fits one of these
``{"$same": "name"}``       the first time anything, which is remembered; then that
==========================  ======================================================

In what is sent, ``{"$same": "name"}`` stands for what is remembered.
"""

from __future__ import annotations

import json
from typing import Any

Remembered = dict[str, Any]
Message = dict[str, Any]


class Mismatch(Exception):
    """The other side did what the transcript does not allow."""


def fits(expected: Any, value: Any, remembered: Remembered) -> bool:
    """Whether a value fits; ``None`` is no field. Of an object, the expected fields count."""
    match expected:
        case {"$absent": True}:
            return value is None
        case {"$text": True}:
            return isinstance(value, str)
        case {"$number": True}:
            return _is_number(value)
        case {"$min": least}:
            return _is_number(value) and value >= least
        case {"$contains": part}:
            return isinstance(value, str) and part in value
        case {"$oneOf": choices}:
            return any(fits(choice, value, remembered) for choice in choices)
        case {"$same": name}:
            return bool(value is not None and remembered.setdefault(name, value) == value)
        case dict():
            return isinstance(value, dict) and all(
                fits(field, value.get(name), remembered) for name, field in expected.items()
            )
    return type(expected) is type(value) and bool(expected == value)


def check(expected: Message, message: Message, remembered: Remembered) -> None:
    """Raises Mismatch."""
    if not fits(expected, message, remembered):
        raise Mismatch(f"expected {json.dumps(expected)}, got {json.dumps(message)}")


def filled(message: Any, remembered: Remembered) -> Any:
    """What is to be sent, with what is remembered in its places."""
    match message:
        case {"$same": name}:
            return remembered[name]
        case dict():
            return {name: filled(value, remembered) for name, value in message.items()}
        case list():
            return [filled(value, remembered) for value in message]
    return message


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
