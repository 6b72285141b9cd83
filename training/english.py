"""English sentences of the tiny domain: commands, dictation, small talk, statements, numbers."""

from __future__ import annotations

import random
from collections.abc import Callable

from training.domain import Sentence


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ONES = _words("zero one two three four five six seven eight nine")
TEENS = _words("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
ORDINALS = _words("first second third fourth fifth sixth seventh eighth ninth tenth")
DAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = _words(
    "January February March April May June July August September October November December"
)
COLOURS = _words("red blue green yellow black white orange purple brown pink grey")
LETTERS = _words("A B C D E F G H I J K L M N O P Q R S T U V W X Y Z")
ALPHABET = _words(
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november "
    "oscar papa quebec romeo sierra tango uniform victor whiskey x-ray yankee zulu"
)
NAMES = _words("Anna John Maria David Emma Peter Sarah Thomas Laura Daniel")
PLACES = _words("London Paris Berlin Boston Chicago Madrid Tokyo")
SITES = _words("school work market station airport hospital")
OBJECTS = _words(
    "book table chair car house dog cat bird tree apple window door phone computer letter "
    "picture bottle garden river street train"
)
COUNTABLE = _words("book table chair car house dog cat bird tree apple window door bottle")
ROOMS = _words("kitchen bedroom office bathroom hallway")
DEVICES = _words("light lights radio music camera heater television fan")
FOOD = _words("coffee tea water bread soup milk pizza salad juice")
DISHES = _words("sandwich pizza salad coffee tea soup")
PAPERS = _words("file document folder page tab report message email list program")
PEOPLE = _words("man woman boy girl teacher doctor")
QUALITIES = _words("big small old new good bad long short quiet heavy strong simple beautiful")
FEELINGS = _words("happy cold warm late early quiet strong")
WEATHER = _words("sunny rainy cloudy windy cold warm")
POSITIONS = ("on", "under", "behind", "near", "next to", "in front of")
ACTIONS = _words("sleeps works runs walks sings waits laughs reads writes")
MANNERS = _words("quickly slowly today outside together again now later")
WHEN = _words("today tomorrow now later again")
OTHERS = _words(
    "the and but because with without about every never always question answer people world "
    "friend family morning evening night week month year money paper number language system "
    "transcription speech recognition streaming server model audio voice dictation meeting "
    "project team customer"
)
VERBS = _words(
    "open close save delete copy rename print find turn call send play stop start scroll "
    "select undo spell remind bring repeat cancel"
)
SALAD = (
    OTHERS
    + VERBS
    + COLOURS
    + NAMES
    + PLACES
    + SITES
    + OBJECTS
    + ROOMS
    + DEVICES
    + FOOD
    + PAPERS
    + PEOPLE
    + QUALITIES
    + ACTIONS
    + MANNERS
    + DAYS
    + MONTHS
    + ALPHABET
    + ORDINALS
    + TEENS
    + TENS
    + _words("one three five six seven eight nine zero home sandwich happy late early sunny rainy")
    + _words("cloudy windy under behind near yesterday front timer alarm minutes hours please")
    + _words("yes no hello thank you sorry okay full comma line")
)
"""Words for rows without grammar; of words that sound alike (to, two; by, buy) none is here."""

FIXED = (
    "New line.",
    "New paragraph.",
    "Full stop.",
    "Question mark.",
    "Comma.",
    "Undo that.",
    "Delete that.",
    "Select all.",
    "Stop.",
    "Yes.",
    "No.",
    "Okay.",
    "Hello.",
    "Thank you.",
    "Good morning.",
    "Good evening.",
    "Good night.",
    "Start.",
    "Cancel.",
    "Repeat that.",
    "Scroll down.",
    "Scroll up.",
    "Stop dictation.",
    "Start dictation.",
    "Save.",
    "Help.",
    "Please stop.",
    "Play music.",
    "Never.",
    "Always.",
    "Tomorrow.",
    "Today.",
    "Sorry.",
)
TALK = (
    "How are you today?",
    "Thank you very much.",
    "I am very well.",
    "What is your name?",
    "Good morning, how are you?",
    "See you tomorrow.",
    "See you later.",
    "I am sorry.",
    "What time is it?",
    "Where are you now?",
    "Can you hear me?",
    "Nice to meet you.",
    "Please say that again.",
    "I do not know.",
    "That is a good question.",
    "Hello world.",
    "Have a good day.",
    "What is the answer?",
    "Is this the new model?",
    "We are all happy.",
    "This is a test.",
    "How was the meeting?",
    "The answer is no.",
    "Yes, I am here.",
)


def number(rng: random.Random, low: int = 0, high: int = 99) -> str:
    """A number in words between `low` and `high` (at most 999)."""
    return spell_number(rng.randint(low, high))


def spell_number(value: int) -> str:
    """A number from 0 to 999 in words, without hyphens."""
    if value < 10:
        return ONES[value]
    if value < 20:
        return TEENS[value - 10]
    if value < 100:
        tens, rest = divmod(value, 10)
        return TENS[tens - 2] + (f" {ONES[rest]}" if rest else "")
    hundreds, rest = divmod(value, 100)
    return f"{ONES[hundreds]} hundred" + (f" and {spell_number(rest)}" if rest else "")


def clock(rng: random.Random) -> str:
    """A time of day."""
    hour = number(rng, 1, 12)
    form = rng.randrange(6)
    forms = (
        f"{hour} o'clock",
        f"{hour} thirty",
        f"{hour} fifteen",
        f"half past {hour}",
        f"quarter to {hour}",
        f"{hour} o'clock",
    )
    return forms[form]


def article(noun: str) -> str:
    """`noun` with the indefinite article before it."""
    return f"{'an' if noun[0].lower() in 'aeiou' and noun != 'uniform' else 'a'} {noun}"


def described(rng: random.Random) -> str:
    """A thing, with a colour or a quality or neither."""
    thing = rng.choice(OBJECTS)
    form = rng.randrange(3)
    if form == 0:
        return thing
    return f"{rng.choice(COLOURS if form == 1 else QUALITIES)} {thing}"


def command(rng: random.Random) -> str:
    """An order to a computer or a house."""
    paper, device, room = rng.choice(PAPERS), rng.choice(DEVICES), rng.choice(ROOMS)
    verb = rng.choice(("open", "close", "save", "delete", "copy", "rename", "print", "find"))
    please = rng.choice(("please ", "", "", ""))
    forms: tuple[Callable[[], str], ...] = (
        lambda: f"{verb} the {paper}",
        lambda: f"{verb} the {rng.choice(ORDINALS)} {paper}",
        lambda: f"{verb} the {rng.choice(QUALITIES)} {paper}",
        lambda: f"{verb} {rng.choice(('every', 'this', 'my'))} {paper}",
        lambda: f"turn {rng.choice(('on', 'off'))} the {device}",
        lambda: f"turn {rng.choice(('on', 'off'))} the {device} in the {room}",
        lambda: f"set a timer for {number(rng, 2, 60)} {rng.choice(('minutes', 'hours'))}",
        lambda: f"set an alarm for {clock(rng)}",
        lambda: f"wake me up at {clock(rng)} on {rng.choice(DAYS)}",
        lambda: f"wake me up at {clock(rng)}",
        lambda: f"call {rng.choice(NAMES)} {rng.choice(WHEN)}",
        lambda: (
            f"send {rng.choice(('a message', 'an email', 'the report'))} to {rng.choice(NAMES)}"
        ),
        lambda: (
            f"remind me to {rng.choice(('buy', 'bring'))} {rng.choice(FOOD)} "
            f"{rng.choice(('today', 'tomorrow', 'on ' + rng.choice(DAYS)))}"
        ),
        lambda: f"buy {number(rng, 2, 20)} {rng.choice(('apples', 'books', 'bottles'))}",
        lambda: (
            f"{rng.choice(('play', 'stop', 'start'))} the "
            f"{rng.choice(('music', 'radio', 'audio', 'program', 'streaming server'))}"
        ),
        lambda: (
            f"scroll {rng.choice(('up', 'down'))} to the "
            f"{rng.choice(ORDINALS)} {rng.choice(('page', 'line'))}"
        ),
        lambda: f"go to {rng.choice(('page', 'line', 'tab'))} {number(rng, 1)}",
        lambda: f"select the {rng.choice(ORDINALS)} {rng.choice(('word', 'line', 'page'))}",
        lambda: f"repeat the {rng.choice(('question', 'answer', 'number', 'message'))}",
        lambda: (
            f"cancel the {rng.choice(('meeting', 'alarm', 'timer', 'call'))} on {rng.choice(DAYS)}"
        ),
    )
    return please + rng.choice(forms)() + "."


def statement(rng: random.Random) -> str:
    """A plain statement about people, things and the weather."""
    name, person = rng.choice(NAMES), rng.choice(PEOPLE)
    day = rng.choice(DAYS)
    when = rng.choice(("today", "yesterday", f"on {day}", "every morning", "every week"))
    forms: tuple[Callable[[], str], ...] = (
        lambda: f"the {described(rng)} is {rng.choice(POSITIONS)} the {described(rng)}",
        lambda: (
            f"there are {number(rng, 2, 30)} {rng.choice(COUNTABLE)}s in the "
            f"{rng.choice(ROOMS + ('garden', 'street', 'house'))}"
        ),
        lambda: (
            f"there is {article(described(rng))} {rng.choice(POSITIONS)} the {rng.choice(OBJECTS)}"
        ),
        lambda: (
            f"{name} went to {rng.choice(PLACES)} by "
            f"{rng.choice(('train', 'car'))} {rng.choice(('on ' + day, 'yesterday'))}"
        ),
        lambda: f"the {person} {rng.choice(ACTIONS)} {rng.choice(MANNERS)}",
        lambda: f"{name} {rng.choice(ACTIONS)} {rng.choice(MANNERS)}",
        lambda: (
            f"it is {rng.choice(WEATHER)} in {rng.choice(PLACES)} "
            f"{rng.choice(('today', 'now', 'again'))}"
        ),
        lambda: f"{name} is {rng.choice(FEELINGS)} {rng.choice(('today', 'again', 'now'))}",
        lambda: f"I would like {article(rng.choice(DISHES))} with {rng.choice(FOOD)}",
        lambda: f"the {person} has {article(described(rng))}",
        lambda: (
            f"my {rng.choice(('friend', 'family', 'team'))} is at "
            f"{rng.choice(('home', 'work', 'school', 'the ' + rng.choice(SITES)))}"
        ),
        lambda: (
            f"{name} and {rng.choice(NAMES)} are "
            f"{rng.choice(('friends', 'late', 'happy', 'at home', 'outside', 'at school'))}"
        ),
        lambda: (
            f"the meeting with {rng.choice(('the team', 'the customer', name))} is at {clock(rng)}"
        ),
        lambda: (
            f"the {rng.choice(('project', 'customer', 'server', 'model', 'program'))} is "
            f"{rng.choice(('new', 'good', 'old', 'simple', 'late', 'strong', 'beautiful'))}"
        ),
        lambda: (
            f"we need {rng.choice(('more time', 'new paper', 'a new model', 'more money'))} "
            f"{rng.choice(('for the project', 'this week', 'this month', 'this year'))}"
        ),
        lambda: (
            f"{rng.choice(('speech recognition', 'transcription', 'the streaming server'))} "
            f"is {rng.choice(('very good', 'simple', 'always on', 'never late'))}"
        ),
        lambda: (
            f"I {rng.choice(('always', 'never'))} drink {rng.choice(FOOD[:3])} "
            f"{rng.choice(('in the morning', 'at night', 'in the evening', 'at work'))}"
        ),
        lambda: (
            f"{name} called because the {rng.choice(SITES)} is "
            f"{rng.choice(('old', 'new', 'near the river', 'quiet'))}"
        ),
        lambda: f"{name} {rng.choice(ACTIONS)} {when}",
        lambda: (
            f"the {rng.choice(QUALITIES)} {rng.choice(OBJECTS)} and the "
            f"{rng.choice(COLOURS)} {rng.choice(OBJECTS)} are {rng.choice(('old', 'new', 'heavy'))}"
        ),
    )
    return rng.choice(forms)() + "."


def enquiry(rng: random.Random) -> str:
    """A question."""
    forms: tuple[Callable[[], str], ...] = (
        lambda: f"where is the {described(rng)}",
        lambda: f"is the {described(rng)} {rng.choice(POSITIONS)} the {rng.choice(OBJECTS)}",
        lambda: (
            f"what is the {rng.choice(('number', 'language', 'answer', 'question'))} of the "
            f"{rng.choice(('page', 'project', 'customer', 'report', 'train'))}"
        ),
        lambda: f"how many {rng.choice(COUNTABLE)}s are in the {rng.choice(ROOMS)}",
        lambda: f"when is the meeting with {rng.choice(NAMES)}",
        lambda: (
            f"can you {rng.choice(('open', 'close', 'find', 'print'))} the {rng.choice(PAPERS)}"
        ),
        lambda: f"is it {rng.choice(WEATHER)} in {rng.choice(PLACES)}",
        lambda: f"does {rng.choice(NAMES)} like {rng.choice(FOOD)}",
    )
    return rng.choice(forms)() + "?"


def figures(rng: random.Random) -> str:
    """Dates, sums, phone numbers and numbers."""
    digits = " ".join(rng.choice(ONES) for _ in range(rng.randint(3, 8)))
    forms: tuple[Callable[[], str], ...] = (
        lambda: digits,
        lambda: f"my number is {digits}",
        lambda: f"call {digits}",
        lambda: f"{number(rng)} {rng.choice(('plus', 'minus'))} {number(rng)} is {number(rng)}",
        lambda: f"{number(rng, 100, 999)}",
        lambda: f"{number(rng)}",
        lambda: f"today is {rng.choice(DAYS)}, the {rng.choice(ORDINALS)} of {rng.choice(MONTHS)}",
        lambda: f"the {rng.choice(ORDINALS)} of {rng.choice(MONTHS)}",
        lambda: f"it is {clock(rng)}",
        lambda: f"{rng.choice(MONTHS)} has {number(rng, 20, 31)} days",
        lambda: f"room {number(rng, 1, 999)}",
        lambda: f"{number(rng)}, {number(rng)}, {number(rng)}",
    )
    return rng.choice(forms)() + "."


def spelling(rng: random.Random) -> str:
    """Letters and the spelling alphabet."""
    letters = " ".join(rng.choice(LETTERS) for _ in range(rng.randint(3, 7)))
    alphabet = " ".join(rng.choice(ALPHABET) for _ in range(rng.randint(2, 6)))
    form = rng.randrange(4)
    return (f"{letters}", f"spell {letters}", f"spell {alphabet}", f"{alphabet}")[form] + "."


def salad(rng: random.Random) -> str:
    """Two to seven words in any order: it keeps the acoustics honest."""
    return " ".join(rng.choice(SALAD) for _ in range(rng.randint(2, 7))) + "."


def single(rng: random.Random) -> str:
    """One word by itself."""
    return rng.choice(SALAD) + "."


FAMILIES: tuple[tuple[Callable[[random.Random], str], int], ...] = (
    (command, 20),
    (statement, 20),
    (enquiry, 7),
    (figures, 12),
    (spelling, 8),
    (salad, 24),
    (single, 4),
    (lambda rng: rng.choice(FIXED), 5),
    (lambda rng: rng.choice(TALK), 4),
)


def sentence(rng: random.Random) -> Sentence:
    """Draw one English sentence."""
    families, weights = zip(*FAMILIES, strict=True)
    return from_text(rng.choices(families, weights)[0](rng))


def from_text(text: str) -> Sentence:
    """A sentence of words that a synthesiser can read as they stand."""
    words = tuple((text[0].upper() + text[1:]).split())
    return Sentence("English", words, words)
