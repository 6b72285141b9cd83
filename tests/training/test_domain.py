"""The sentences of the tiny domain."""

from __future__ import annotations

import pytest

from training.domain import LANGUAGES, PUNCTUATION, Language, Sentence, held_out, sentences
from training.english import from_text as english
from training.mandarin import from_text as mandarin


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_seed_draws_the_same_sentences(language: Language) -> None:
    assert list(sentences(5, 50, language)) == list(sentences(5, 50, language))
    assert list(sentences(5, 50, language)) != list(sentences(6, 50, language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_training_and_test_sentences_share_no_text(language: Language) -> None:
    trained = {sentence.text for sentence in sentences(0, 3000, language, test=False)}
    tested = [sentence.text for sentence in sentences(0, 200, language, test=True)]
    assert len(set(tested)) == 200
    assert trained.isdisjoint(tested)


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_begin_with_a_capital_and_end_with_a_mark(language: Language) -> None:
    for sentence in sentences(1, 500, language):
        assert sentence.text[-1] in PUNCTUATION
        assert sentence.text[0] == sentence.text[0].upper()
        assert len(sentence.words) == len(sentence.spoken)


def test_the_vocabulary_is_about_as_large_as_designed() -> None:
    def vocabulary(language: Language) -> set[str]:
        drawn = sentences(2, 12_000, language)
        return {word.strip(PUNCTUATION).lower() for s in drawn for word in s.words}

    assert 350 <= len(vocabulary("English")) <= 450
    assert 100 <= len(vocabulary("Chinese")) <= 140


def test_short_sentences_are_always_trained_on() -> None:
    assert not held_out(english("Undo that."))
    assert not held_out(mandarin("你好。"))


def test_a_prefix_has_no_mark_unless_the_sentence_is_complete() -> None:
    sentence = english("Good morning, how are you?")
    assert sentence.prefix(2) == "Good morning"
    assert sentence.prefix(3) == "Good morning, how"
    assert sentence.prefix(5) == "Good morning, how are you?"


def test_a_piece_from_the_middle_begins_with_a_capital() -> None:
    assert english("Open the third page.").span(2, 4) == "Third page."


def test_chinese_is_split_into_characters_with_their_readings() -> None:
    sentence = mandarin("你好，我叫小红。")
    assert sentence == Sentence(
        "Chinese",
        ("你", "好，", "我", "叫", "小", "红。"),
        ("ni2", "hao3,", "wo3", "jiao4", "xiao3", "hong2."),
    )


def test_a_character_outside_the_domain_is_refused() -> None:
    with pytest.raises(KeyError):
        mandarin("龙。")
