"""The port through which a dictation is written down: what came and what was told."""

from __future__ import annotations

from typing import Protocol


class Record(Protocol):
    """The record of one session. Nothing here waits, and nothing here fails."""

    def audio(self, pcm16: bytes, through_seq: int) -> None:
        """The next audio of the session, in sequence: the frames below ``through_seq``."""
        ...

    def message(self, text: str) -> None:
        """A message of either side as it goes over the wire: a JSON object."""
        ...

    def end_audio(self) -> None:
        """No more audio will come; messages may. Once or more often."""
        ...


class Recorder(Protocol):
    """Whoever keeps records."""

    def open_session(self, session_id: str) -> Record:
        """A new record, from now on."""
        ...


class Unrecorded:
    """Both of them where nothing is written down."""

    def open_session(self, session_id: str) -> Record:
        return self

    def audio(self, pcm16: bytes, through_seq: int) -> None:
        pass

    def message(self, text: str) -> None:
        pass

    def end_audio(self) -> None:
        pass


UNRECORDED = Unrecorded()
