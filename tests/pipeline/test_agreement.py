from polyasr.pipeline.agreement import STABLE_FOR, LocalAgreement


def observed(*texts: str, step: int = STABLE_FOR) -> LocalAgreement:
    agreement = LocalAgreement()
    for number, text in enumerate(texts, start=1):
        agreement.observe(text, number * step)
    return agreement


def test_one_hypothesis_commits_nothing() -> None:
    assert observed("Open the report").committed == ""


def test_words_that_two_hypotheses_agree_on_are_committed_but_the_last() -> None:
    assert observed("Open the", "Open the report now").committed == "Open the"
    assert observed("Open the", "Open the").committed == "Open"


def test_agreement_counts_audio_and_not_steps() -> None:
    texts = ["Open the report now"] * 2
    assert observed(*texts, step=STABLE_FOR // 2).committed == ""
    assert observed(*texts, texts[0], step=STABLE_FOR // 2).committed == "Open the report"


def test_a_word_that_changed_starts_again() -> None:
    agreement = observed("Open the port of", "Open the report of")
    assert agreement.committed == "Open the"
    assert agreement.text == "Open the report of"


def test_a_mark_at_the_end_of_what_is_settled_stays_tentative() -> None:
    assert observed("你好，我叫小明", "你好，我").committed == "你好"


def test_committed_is_always_the_beginning_of_the_last_hypothesis() -> None:
    agreement = observed("Wake me up at half past seven", "Wake me up at half past seven", "Wake")
    assert agreement.text.startswith(agreement.committed)
