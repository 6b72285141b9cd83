import pytest

from polyasr.protocol import expired
from polyasr.protocol.expired import REMEMBERED_SEC, ExpiredStops


def stops(*ids: str) -> frozenset[str]:
    return frozenset(ids)


def test_an_expired_stop_is_remembered_for_an_hour() -> None:
    memory = ExpiredStops()
    memory.add("a", stops("s1", "s2"), now=100)
    assert memory.has("a", "s1", now=100 + REMEMBERED_SEC - 1)
    assert not memory.has("a", "s3", now=200)
    assert not memory.has("b", "s1", now=200)
    assert not memory.has("a", "s1", now=100 + REMEMBERED_SEC)


def test_a_session_that_expires_again_is_remembered_anew_with_all_its_stops() -> None:
    memory = ExpiredStops()
    memory.add("a", stops("s1"), now=0)
    memory.add("b", stops("s1"), now=1000)
    memory.add("a", stops("s2"), now=2000)
    assert memory.has("a", "s1", now=REMEMBERED_SEC + 1500)
    assert memory.has("a", "s2", now=REMEMBERED_SEC + 1500)
    assert not memory.has("b", "s1", now=REMEMBERED_SEC + 1500)


def test_an_id_that_begins_another_utterance_is_forgotten() -> None:
    memory = ExpiredStops()
    memory.add("a", stops(""), now=0)
    memory.forget("a")
    memory.forget("never seen")
    assert not memory.has("a", "", now=1)


def test_only_so_many_sessions_are_remembered_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expired, "MAX_SESSIONS", 3)
    memory = ExpiredStops()
    for number in range(5):
        memory.add(str(number), stops("s"), now=number)
    assert [memory.has(str(number), "s", now=5) for number in range(5)] == [False] * 2 + [True] * 3
