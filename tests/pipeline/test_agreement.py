from polyasr.pipeline.agreement import STABLE_FOR, LocalAgreement

ALL = 10**9


def observed(*texts: str, step: int = STABLE_FOR) -> LocalAgreement:
    agreement = LocalAgreement()
    for number, text in enumerate(texts, start=1):
        agreement.observe(text, number * step)
    return agreement


def test_one_hypothesis_commits_nothing() -> None:
    assert observed("Open the report").settled(ALL) == ""


def test_words_that_two_hypotheses_agree_on_are_committed_but_the_last() -> None:
    assert observed("Open the", "Open the report now").settled(ALL) == "Open the"
    assert observed("Open the", "Open the").settled(ALL) == "Open"


def test_agreement_counts_audio_and_not_steps() -> None:
    texts = ["Open the report now"] * 2
    assert observed(*texts, step=STABLE_FOR // 2).settled(ALL) == ""
    assert observed(*texts, texts[0], step=STABLE_FOR // 2).settled(ALL) == "Open the report"


def test_a_word_that_changed_starts_again() -> None:
    agreement = observed("Open the port of", "Open the report of")
    assert agreement.settled(ALL) == "Open the"


def test_a_mark_at_the_end_of_what_is_settled_stays_tentative() -> None:
    assert observed("你好，我叫小明", "你好，我").settled(ALL) == "你好"


def test_committed_is_always_the_beginning_of_the_last_hypothesis() -> None:
    agreement = observed("Wake me up at half past seven", "Wake me up at half past seven", "Wake")
    assert "Wake".startswith(agreement.settled(ALL))


def test_words_are_settled_only_as_far_as_their_audio_is_sure_to_stay() -> None:
    agreement = observed(
        "Open the", "Open the report", "Open the report now", "Open the report now"
    )
    assert agreement.settled(STABLE_FOR) == "Open the"
    assert agreement.settled(2 * STABLE_FOR) == "Open the report"


def test_audio_that_is_taken_back_takes_its_words_along_and_no_others() -> None:
    agreement = observed("Open the", "Open the report", "Open the report now")
    agreement.crop(2 * STABLE_FOR)
    agreement.observe("Open the report he said", 3 * STABLE_FOR)
    assert agreement.settled(ALL) == "Open the report"
