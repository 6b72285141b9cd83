from polyasr.engine.repetition import REPEATS, loop_start


def test_a_word_said_ten_times_is_no_loop() -> None:
    assert loop_start([7] * 10) is None


def test_a_loop_is_cut_after_its_first_occurrence() -> None:
    assert loop_start([1, 2, 3] + [7] * REPEATS) == 4
    assert loop_start([9] + [1, 2, 3] * REPEATS) == 4


def test_what_varies_is_no_loop() -> None:
    assert loop_start(list(range(500))) is None
