"""Languages: the names that Qwen3-ASR uses, those of Whisper besides, and the codes of clients."""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType

from polyasr.errors import InvalidRequest

CODES = MappingProxyType(
    {
        "Chinese": "zh",
        "English": "en",
        "Cantonese": "yue",
        "Arabic": "ar",
        "German": "de",
        "French": "fr",
        "Spanish": "es",
        "Portuguese": "pt",
        "Indonesian": "id",
        "Italian": "it",
        "Korean": "ko",
        "Russian": "ru",
        "Thai": "th",
        "Vietnamese": "vi",
        "Japanese": "ja",
        "Turkish": "tr",
        "Hindi": "hi",
        "Malay": "ms",
        "Dutch": "nl",
        "Swedish": "sv",
        "Danish": "da",
        "Finnish": "fi",
        "Polish": "pl",
        "Czech": "cs",
        "Filipino": "fil",
        "Persian": "fa",
        "Greek": "el",
        "Romanian": "ro",
        "Hungarian": "hu",
        "Macedonian": "mk",
    }
)
"""The names, in the model's order, to ISO 639-1 codes (639-3 for the two that have none)."""

NAMES = tuple(CODES)

_OTHERS = (
    "Afrikaans af,Albanian sq,Amharic am,Armenian hy,Assamese as,Azerbaijani az,Bashkir ba,"
    "Basque eu,Belarusian be,Bengali bn,Bosnian bs,Breton br,Bulgarian bg,Burmese my,"
    "Catalan ca,Croatian hr,Estonian et,Faroese fo,Galician gl,Georgian ka,Gujarati gu,"
    "Haitian Creole ht,Hausa ha,Hawaiian haw,Hebrew he,Icelandic is,Javanese jv,Kannada kn,"
    "Kazakh kk,Khmer km,Lao lo,Latin la,Latvian lv,Lingala ln,Lithuanian lt,"
    "Luxembourgish lb,Malagasy mg,Malayalam ml,Maltese mt,Maori mi,Marathi mr,Mongolian mn,"
    "Nepali ne,Norwegian no,Nynorsk nn,Occitan oc,Pashto ps,Punjabi pa,Sanskrit sa,"
    "Serbian sr,Shona sn,Sindhi sd,Sinhala si,Slovak sk,Slovenian sl,Somali so,"
    "Sundanese su,Swahili sw,Tajik tg,Tamil ta,Tatar tt,Telugu te,Tibetan bo,Turkmen tk,"
    "Ukrainian uk,Urdu ur,Uzbek uz,Welsh cy,Yiddish yi,Yoruba yo"
)

OTHER_CODES = MappingProxyType(dict(each.rsplit(" ", 1) for each in _OTHERS.split(",")))
"""Further languages, which Whisper translates from."""

TRANSLATED = (*NAMES, *OTHER_CODES)
"""All that may be translated from."""

_OTHER_NAMES = {
    "mandarin": "Chinese",
    "cmn": "Chinese",
    "zh-yue": "Cantonese",
    "zh-hk": "Cantonese",
    "zh-mo": "Cantonese",
    "tl": "Filipino",
    "tagalog": "Filipino",
    "in": "Indonesian",
    "farsi": "Persian",
}
"""Further codes and names. Hong Kong and Macau speak Cantonese; ``tl`` and ``in`` are older codes.
"""

_BY_NAME = {name.lower(): name for name in NAMES} | {code: name for name, code in CODES.items()}
_BY_NAME |= {name.lower(): name for name in OTHER_CODES}
_BY_NAME |= {code: name for name, code in OTHER_CODES.items()}
_BY_NAME |= _OTHER_NAMES


def parse(text: str, supported: Collection[str] = NAMES) -> str:
    """The model's name for a language given by name or by code, such as ``English`` or ``zh-CN``.

    Case does not matter, ``_`` is as good as ``-``, and of a tag (BCP 47) the language decides,
    except where region or extension name another one. Raises InvalidRequest, which lists what is
    accepted, for anything else and for what is not ``supported``.
    """
    tag = text.strip().lower().replace("_", "-")
    while tag:
        if _BY_NAME.get(tag) in supported:
            return _BY_NAME[tag]
        tag = tag.rpartition("-")[0]
    accepted = ", ".join(f"{name} ({code(name)})" for name in TRANSLATED if name in supported)
    raise InvalidRequest(
        f"the language {text[:40]!r} is not one this model knows; it takes {accepted}",
        param="language",
    )


def code(name: str) -> str:
    """The ISO 639 code of one of the model's names. Raises KeyError for another name."""
    return CODES[name] if name in CODES else OTHER_CODES[name]
