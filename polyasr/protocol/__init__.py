"""The dictation protocol, sans-IO: bytes and texts in, events out; no clock, no socket."""
