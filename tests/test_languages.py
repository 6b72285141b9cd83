"""What clients call languages, and what the model calls them."""

from __future__ import annotations

import pytest

from polyasr import languages
from polyasr.errors import InvalidRequest


def test_there_are_the_thirty_languages_of_the_model_each_with_a_code_of_its_own() -> None:
    assert len(languages.NAMES) == 30
    assert len({languages.code(name) for name in languages.NAMES}) == 30


@pytest.mark.parametrize("name", languages.NAMES)
def test_name_and_code_stand_for_the_language_in_any_case(name: str) -> None:
    for text in (name, name.upper(), languages.code(name), languages.code(name).upper()):
        assert languages.parse(text) == name


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("zh-CN", "Chinese"),
        ("zh_TW", "Chinese"),
        ("zh-Hans-CN", "Chinese"),
        ("cmn-Hans", "Chinese"),
        ("zh-yue", "Cantonese"),
        ("zh-HK", "Cantonese"),
        ("yue-Hant-HK", "Cantonese"),
        ("en-US", "English"),
        (" en ", "English"),
        ("pt-BR", "Portuguese"),
        ("fil-PH", "Filipino"),
        ("tl", "Filipino"),
        ("Mandarin", "Chinese"),
    ],
)
def test_tags_are_read_by_their_language(tag: str, name: str) -> None:
    assert languages.parse(tag) == name


@pytest.mark.parametrize("text", ["", "-", "klingon", "tlh", "eng lish", "e", "x-en", "中文"])
def test_anything_else_is_refused_with_a_list_of_what_is_accepted(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"Chinese \(zh\), English \(en\)") as refused:
        languages.parse(text)
    assert repr(text) in str(refused.value)
    assert refused.value.param == "language"


def test_a_language_that_a_model_does_not_support_is_refused() -> None:
    assert languages.parse("en", ["English"]) == "English"
    with pytest.raises(InvalidRequest) as refused:
        languages.parse("zh", ["English"])
    assert str(refused.value).endswith("it takes English (en)")
