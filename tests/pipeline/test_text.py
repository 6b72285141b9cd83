import pytest

from polyasr.pipeline.text import glue, is_mark, join, words


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (["Open the door.", "Close it."], "Open the door. Close it."),
        (["你好。", "谢谢你。"], "你好。谢谢你。"),
        (["打开文件", "关闭窗口"], "打开文件关闭窗口"),
        (["カタカナ", "ひらがな"], "カタカナひらがな"),
        (["Open 文件", "please"], "Open 文件 please"),
        (["안녕하세요", "감사합니다"], "안녕하세요 감사합니다"),
        (["", "Yes.", "", "No."], "Yes. No."),
        ([], ""),
    ],
)
def test_segments_are_joined_without_a_space_only_between_unspaced_scripts(
    parts: list[str], joined: str
) -> None:
    assert join(parts) == joined


def test_nothing_stands_beside_an_empty_text() -> None:
    assert glue("", "Yes.") == glue("Yes.", "") == ""


def test_words_keep_the_space_before_them_and_han_is_cut_by_character() -> None:
    assert words("Open 文件, please.") == ["Open", " 文", "件", ",", " please."]


@pytest.mark.parametrize("text", ["It’s 12.5 km, she said.", "你好，我叫小明。", "a\n b", ""])
def test_words_lose_no_character(text: str) -> None:
    assert "".join(words(text)) == text


def test_marks_are_told_from_words() -> None:
    assert is_mark("。") and is_mark(" …") and not is_mark(" a.") and not is_mark("文")
