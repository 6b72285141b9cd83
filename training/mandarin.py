"""Mandarin sentences of the tiny domain, with the pinyin a synthesiser needs."""

from __future__ import annotations

import random
from collections.abc import Callable

from training.domain import PUNCTUATION, Sentence

_PINYIN = (
    "打da3 开kai1 关guan1 闭bi4 保bao3 存cun2 删shan1 除chu2 文wen2 件jian4 窗chuang1 口kou3 "
    "音yin1 乐yue4 电dian4 灯deng1 脑nao3 手shou3 机ji1 今jin1 天tian1 是shi4 星xing1 期qi1 "
    "一yi1 二er4 三san1 四si4 五wu3 六liu4 七qi1 八ba1 九jiu3 十shi2 零ling2 现xian4 在zai4 "
    "点dian3 半ban4 钟zhong1 我wo3 想xiang3 喝he1 水shui3 茶cha2 咖ka1 啡fei1 牛niu2 奶nai3 "
    "你ni3 好hao3 叫jiao4 小xiao3 明ming2 红hong2 李li3 华hua2 王wang2 芳fang1 谢xie4 再zai4 "
    "见jian4 早zao3 上shang4 晚wan3 对dui4 不bu4 起qi3 没mei2 系xi4 吗ma5 很hen3 客ke4 气qi4 "
    "请qing3 等deng3 下xia4 知zhi1 道dao4 几ji3 号hao4 昨zuo2 冷leng3 热re4 去qu4 北bei3 "
    "京jing1 海hai3 学xue2 校xiao4 公gong1 司si1 医yi1 院yuan4 场chang3 桌zhuo1 子zi5 房fang2 "
    "间jian1 书shu1 包bao1 里li3 有you3 本ben3 个ge4 人ren2 只zhi1 猫mao1 苹ping2 果guo3 "
    "设she4 置zhi4 分fen1 的de5 闹nao4 给gei3 话hua4 喜xi3 欢huan1 习xi2 运yun4 动dong4 "
    "中zhong1 英ying1 两liang3 月yue4 日ri4 大da4"
)
PINYIN = {entry[0]: entry[1:] for entry in _PINYIN.split()}
"""Each character of the domain and its reading, tone as a digit (5 is the neutral tone)."""

READINGS = {
    "音乐": ("yin1", "yue4"),
    "学校": ("xue2", "xiao4"),
    "不是": ("bu2", "shi4"),
    "不客气": ("bu2", "ke4", "qi5"),
    "没关系": ("mei2", "guan1", "xi5"),
    "谢谢": ("xie4", "xie5"),
    "一下": ("yi2", "xia4"),
    "一个": ("yi2", "ge4"),
    "一本": ("yi4", "ben3"),
    "一只": ("yi4", "zhi1"),
    "你好": ("ni2", "hao3"),
    "喜欢": ("xi3", "huan5"),
    "知道": ("zhi1", "dao5"),
}
"""Words whose reading is not the sum of their characters'."""

DIGITS = "一二三四五六七八九十"
THINGS = ("文件", "窗口", "音乐", "电灯", "电脑", "手机")
DRINKS = ("水", "茶", "咖啡", "牛奶")
PEOPLE = ("小明", "小红", "李华", "王芳")
PLACES = ("北京", "上海", "学校", "公司", "医院", "机场")
LIKES = ("学习", "音乐", "运动", "中文", "英文", "咖啡", "北京", "上海")
WEATHER = ("很好", "很冷", "很热", "不好")
COUNTED = ("本书", "个人", "只猫", "个苹果")
FIXED = (
    "你好。",
    "谢谢你。",
    "再见。",
    "早上好。",
    "晚上好。",
    "对不起。",
    "没关系。",
    "你好吗？",
    "我很好。",
    "不客气。",
    "请等一下。",
    "我不知道。",
    "今天几号？",
    "现在几点？",
    "谢谢你，再见。",
    "今天星期几？",
    "明天见。",
    "请打开。",
    "是。",
    "不是。",
    "好。",
    "我知道。",
    "请关闭。",
    "晚上见。",
    "很好，谢谢你。",
    "你在吗？",
)


def small_number(rng: random.Random) -> str:
    """A counting number from one to ninety nine; two is 两 when it stands alone."""
    value = rng.randint(1, 99) if rng.random() < 0.5 else rng.randint(1, 10)
    if value == 2:
        return "两"
    if value <= 10:
        return DIGITS[value - 1]
    tens, rest = divmod(value, 10)
    return ("" if tens == 1 else DIGITS[tens - 1]) + "十" + (DIGITS[rest - 1] if rest else "")


def hour(rng: random.Random) -> str:
    """An hour of the clock."""
    return rng.choice(("一", "两", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二"))


def command(rng: random.Random) -> str:
    """An order."""
    thing = rng.choice(THINGS)
    forms: tuple[Callable[[], str], ...] = (
        lambda: f"{rng.choice(('打开', '关闭'))}{thing}",
        lambda: f"请{rng.choice(('打开', '关闭'))}{rng.choice(('我的', '你的', ''))}{thing}",
        lambda: f"{rng.choice(('保存', '删除'))}{rng.choice(('文件', '音乐', '窗口'))}",
        lambda: f"请{rng.choice(('保存', '删除'))}{small_number(rng)}个文件",
        lambda: f"设置{small_number(rng)}分钟的闹钟",
        lambda: f"设置{hour(rng)}点{rng.choice(('半', ''))}的闹钟",
        lambda: f"给{rng.choice(PEOPLE)}打电话",
        lambda: f"{rng.choice(('今天', '明天', '晚上'))}给{rng.choice(PEOPLE)}打电话",
        lambda: f"打开{rng.choice(('房间', '学校', '公司'))}里的{rng.choice(('电灯', '电脑'))}",
    )
    return rng.choice(forms)() + "。"


def statement(rng: random.Random) -> str:
    """A statement."""
    day = rng.choice(("今天", "明天", "昨天"))
    subject = rng.choice(("我", "我", "你") + PEOPLE)
    forms: tuple[Callable[[], str], ...] = (
        lambda: f"{rng.choice(('今天', '明天', '昨天'))}是星期{rng.choice('一二三四五六日')}",
        lambda: f"现在{hour(rng)}点{rng.choice(('半', '钟', ''))}",
        lambda: f"{subject}想喝{rng.choice(DRINKS)}",
        lambda: f"你好，我叫{rng.choice(PEOPLE)}",
        lambda: f"{day}天气{rng.choice(WEATHER)}",
        lambda: f"{rng.choice(PLACES)}{day}天气{rng.choice(WEATHER)}",
        lambda: f"{subject}{rng.choice(('今天', '明天', '昨天'))}去{rng.choice(PLACES)}",
        lambda: (
            f"{rng.choice(('桌子上', '房间里', '书包里'))}有{small_number(rng)}"
            f"{rng.choice(COUNTED)}"
        ),
        lambda: f"{subject}{rng.choice(('喜欢', '不喜欢'))}{rng.choice(LIKES)}",
        lambda: f"{subject}{rng.choice(('早上', '晚上'))}在{rng.choice(PLACES)}",
        lambda: f"今天{rng.choice(DIGITS)}月{small_number(rng).replace('两', '二')}号",
        lambda: f"{subject}在{rng.choice(PLACES)}学习{rng.choice(('中文', '英文', '音乐'))}",
    )
    return rng.choice(forms)() + "。"


def figures(rng: random.Random) -> str:
    """Digits in a row."""
    return "".join(rng.choice(DIGITS) for _ in range(rng.randint(3, 8))) + "。"


def question(rng: random.Random) -> str:
    """A question."""
    subject = rng.choice(("你",) + PEOPLE)
    forms: tuple[Callable[[], str], ...] = (
        lambda: f"{subject}喜欢{rng.choice(LIKES)}吗",
        lambda: f"{subject}在{rng.choice(PLACES)}吗",
        lambda: f"{subject}{rng.choice(('今天', '明天'))}去{rng.choice(PLACES)}吗",
        lambda: f"{subject}想喝{rng.choice(DRINKS)}吗",
        lambda: f"{rng.choice(('桌子上', '房间里', '书包里'))}有几{rng.choice(COUNTED)}",
    )
    return rng.choice(forms)() + "？"


def salad(rng: random.Random) -> str:
    """Words of the domain in any order."""
    parts = (
        THINGS
        + DRINKS
        + PEOPLE
        + PLACES
        + LIKES
        + WEATHER
        + COUNTED
        + (
            "打开",
            "关闭",
            "保存",
            "删除",
            "今天",
            "明天",
            "昨天",
            "现在",
            "喜欢",
            "设置",
            "分钟",
            "闹钟",
            "早上",
            "晚上",
            "请",
            "我",
            "你",
            "去",
            "叫",
            "给",
            "打电话",
            "天气",
            "房间",
            "桌子",
            "书包",
            "星期",
            "再见",
            "知道",
            "几",
            "大",
            "谢谢",
        )
        + tuple(DIGITS)
    )
    return "".join(rng.choice(parts) for _ in range(rng.randint(2, 5))) + "。"


FAMILIES: tuple[tuple[Callable[[random.Random], str], int], ...] = (
    (command, 22),
    (statement, 30),
    (question, 9),
    (figures, 10),
    (salad, 20),
    (lambda rng: rng.choice(FIXED), 9),
)


def sentence(rng: random.Random) -> Sentence:
    """Draw one Mandarin sentence."""
    families, weights = zip(*FAMILIES, strict=True)
    return from_text(rng.choices(families, weights)[0](rng))


def from_text(text: str) -> Sentence:
    """Split a text into characters with their marks and give each its reading.

    Raises KeyError for a character outside the domain.
    """
    words: list[str] = []
    for character in text:
        if character in PUNCTUATION:
            words[-1] += character
        else:
            words.append(character)
    plain = "".join(word[0] for word in words)
    spoken = [PINYIN[character] for character in plain]
    for word, reading in READINGS.items():
        start = plain.find(word)
        while start >= 0:
            spoken[start : start + len(word)] = reading
            start = plain.find(word, start + 1)
    marks = {"，": ",", "。": ".", "？": "?", "！": "!"}
    for index, word in enumerate(words):
        spoken[index] += marks.get(word[-1], "")
    return Sentence("Chinese", tuple(words), tuple(spoken))
