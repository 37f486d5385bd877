"""Planted errors for `constraints`: answers built to follow a set of instructions, then one of them broken.

An answer is put together from sentences whose words are counted when they are written, so that what it follows is
known by construction and not by the checks under test. Each row has one main instruction (a form, a case, a language)
and up to two side ones (words, commas, keywords); a corruption breaks one of them, and `how` names both: the id of
what was broken and what was done. Among the corruptions are the ones that pay in training: invisible characters that
make or hide words, look-alike letters, the prompt said back, empty forms.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from homeschool.verify.planted import Planted

_NOUNS = [
    "river",
    "garden",
    "teacher",
    "window",
    "letter",
    "morning",
    "kitchen",
    "village",
    "doctor",
    "forest",
    "station",
    "painter",
    "market",
    "ladder",
]
_VERBS = ["follows", "finds", "watches", "carries", "leaves", "remembers", "crosses", "studies", "paints", "repairs"]
_ADJECTIVES = ["quiet", "small", "green", "patient", "distant", "careful", "bright", "narrow", "simple", "warm"]
_PLACES = [
    "near the old bridge",
    "after the long winter",
    "behind the stone wall",
    "during the summer rain",
    "beside the open door",
]
_RARE = ["zeppelin", "quartz", "yacht", "jukebox"]
"""Words that the sentences never hold."""

_FOREIGN = {
    "de": "Heute morgen hat es lange geregnet und wir sind zu Hause geblieben. Am Abend lesen die Kinder Bücher.",
    "fr": "Ce matin il a plu longtemps et nous sommes restés à la maison. Le soir les enfants lisent un nouveau livre.",
    "es": "Esta mañana llovió mucho y nos quedamos en casa. Por la noche los niños leen un libro nuevo en la cocina.",
    "ru": "Сегодня утром долго шёл дождь и мы остались дома. Вечером дети читают новую книгу на кухне.",
    "ko": "오늘 아침에는 비가 오래 와서 우리는 집에 있었습니다. 저녁에는 아이들이 부엌에서 새 책을 읽습니다.",
    "hi": "आज सुबह बहुत देर तक बारिश हुई और हम घर पर ही रहे। शाम को बच्चे रसोई में एक नई किताब पढ़ते हैं।",
}
_ENGLISH = "The patient teacher finds a small letter near the old bridge. The quiet doctor watches the distant village."


@dataclass(slots=True)
class _Built:
    """An instruction, an answer that follows it, and broken answers by what was done."""

    id: str
    kwargs: dict[str, Any]
    answer: str
    broken: dict[str, str] = field(default_factory=dict[str, str])


def planted(seed: int, n: int) -> Iterator[Planted]:
    """`n` answers, every other one right. The same seed gives the same answers."""
    rng = random.Random(f"planted constraints {seed}")
    for place in range(n):
        main = _MAINS[place // 2 % len(_MAINS)](rng)
        sides = [side(rng, main) for side in rng.sample(_SIDES, rng.randint(0, 2))] if main.id not in _ALONE else []
        everything = [main, *sides]
        rng.shuffle(everything)
        columns = {
            "prompt": f"Write about the {rng.choice(_NOUNS)}.",
            "constraints": [{"id": built.id, "kwargs": built.kwargs} for built in everything],
        }
        if place % 2 == 0:
            yield Planted(columns, main.answer, True, "right")
            continue
        choices = [(f"{built.id}: {how}", text) for built in everything for how, text in built.broken.items()]
        choices += [("all: empty answer", " \n\u200b"), ("all: the prompt said back", columns["prompt"])]
        how, answer = rng.choice(choices)
        yield Planted(columns, answer, False, how)


def _sentence(rng: random.Random) -> str:
    """Ten or eleven words and a full stop, without a comma or digit."""
    first, second = rng.sample(_NOUNS, 2)
    return (
        f"The {rng.choice(_ADJECTIVES)} {first} {rng.choice(_VERBS)} the {rng.choice(_ADJECTIVES)} {second} "
        f"{rng.choice(_PLACES)}."
    )


def _sentences(rng: random.Random, least: int = 3, most: int = 7) -> list[str]:
    return [_sentence(rng) for _ in range(rng.randint(least, most))]


def _text(rng: random.Random) -> str:
    return " ".join(_sentences(rng))


# Main instructions: each makes the answer.


def _number_words(rng: random.Random) -> _Built:
    said = _text(rng)
    size = len(said.split())
    if rng.random() < 0.5:
        kwargs = {"relation": "at least", "num_words": size}
        short = said.rsplit(" ", 1)[0]
        hidden = short[:5] + "\u200b" + short[5:]
        return _Built("length_constraints:number_words", kwargs, said, {"one word short": short, "zero width": hidden})
    kwargs = {"relation": "less than", "num_words": size + 1}
    return _Built("length_constraints:number_words", kwargs, said, {"one word too many": said + " Indeed."})


def _number_sentences(rng: random.Random) -> _Built:
    said = _sentences(rng)
    answer, size = " ".join(said), len(said)
    name = "length_constraints:number_sentences"
    if rng.random() < 0.5:
        return _Built(name, {"relation": "at least", "num_sentences": size}, answer, {"one short": " ".join(said[1:])})
    more = {"one too many": f"{answer} {_sentence(rng)}", "a question too many": f"{answer} Is it so?"}
    return _Built(name, {"relation": "less than", "num_sentences": size + 1}, answer, more)


def _number_paragraphs(rng: random.Random) -> _Built:
    said = _sentences(rng)
    broken = {
        "one short": "\n***\n".join(said[1:]),
        "one too many": "\n***\n".join([*said, _sentence(rng)]),
        "an empty one": "\n***\n".join([said[0], " ", *said[2:]]),
        "two asterisks": "\n**\n".join(said),
    }
    kwargs = {"num_paragraphs": len(said)}
    return _Built("length_constraints:number_paragraphs", kwargs, "\n***\n".join(said), broken)


def _nth_paragraph(rng: random.Random) -> _Built:
    said, word = _sentences(rng), rng.choice(_RARE)
    place = rng.randrange(len(said))
    right = [*said[:place], f"{word.title()} {said[place]}", *said[place + 1 :]]
    kwargs = {"num_paragraphs": len(said), "nth_paragraph": place + 1, "first_word": word}
    broken = {
        "another first word": "\n\n".join(said),
        "one paragraph too many": "\n\n".join([*right, _sentence(rng)]),
        "no blank lines": "\n".join(right),
    }
    return _Built("length_constraints:nth_paragraph_first_word", kwargs, "\n\n".join(right), broken)


def _bullets(rng: random.Random) -> _Built:
    said, mark = _sentences(rng), rng.choice("*-")
    items = [f"{mark} {each}" for each in said]
    broken = {
        "one short": "\n".join(items[1:]),
        "one too many": "\n".join([*items, f"{mark} One more."]),
        "another mark": "\n".join(f"+ {each}" for each in said),
        "on one line": " ".join(items),
    }
    return _Built("detectable_format:number_bullet_lists", {"num_bullets": len(items)}, "\n".join(items), broken)


def _highlights(rng: random.Random) -> _Built:
    said, mark = _sentences(rng), rng.choice(["*", "**"])
    marked = [f"{mark}{first}{mark} {rest}" for first, rest in (each.split(" ", 1) for each in said)]
    broken = {
        "one short": " ".join([*marked[1:], said[0]]),
        "nothing between": " ".join(each.replace(f"{mark}The{mark}", f"{mark} {mark}") for each in marked),
    }
    name = "detectable_format:number_highlighted_sections"
    return _Built(name, {"num_highlights": len(said)}, " ".join(marked), broken)


def _sections(rng: random.Random) -> _Built:
    said, word = _sentences(rng), rng.choice(["Section", "PARAGRAPH", "Day"])
    parts = [f"{word} {place}\n{each}" for place, each in enumerate(said, start=1)]
    broken = {
        "one short": "\n\n".join(parts[1:]),
        "nothing in them": "\n".join(f"{word} {place}" for place in range(1, len(said) + 1)),
        "no numbers": "\n\n".join(f"{word}\n{each}" for each in said),
    }
    kwargs = {"section_spliter": word, "num_sections": len(said)}
    return _Built("detectable_format:multiple_sections", kwargs, "\n\n".join(parts), broken)


def _placeholders(rng: random.Random) -> _Built:
    said = _sentences(rng)
    answer = " ".join(f"[{rng.choice(_NOUNS)}] {each}" for each in said)
    broken = {"one short": answer.replace("[", "", 1), "empty": " ".join(f"[ ] {each}" for each in said)}
    return _Built("detectable_content:number_placeholders", {"num_placeholders": len(said)}, answer, broken)


def _postscript(rng: random.Random) -> _Built:
    said, marker = _text(rng), rng.choice(["P.S.", "P.P.S"])
    broken = {"left out": said, "without stops": f"{said}\n\n{marker.replace('.', '')} {_sentence(rng)}"}
    return _Built(
        "detectable_content:postscript", {"postscript_marker": marker}, f"{said}\n\n{marker} So be it.", broken
    )


def _title(rng: random.Random) -> _Built:
    said, title = _text(rng), f"The {rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}"
    broken = {"single brackets": f"<{title}>\n{said}", "empty": f"<< >>\n{said}", "hidden": f"<<\u200b>>\n{said}"}
    return _Built("detectable_format:title", {}, f"<<{title}>>\n{said}", broken)


def _json(rng: random.Random) -> _Built:
    answer = '{"' + rng.choice(_NOUNS) + '": ["' + _sentence(rng) + '"]}'
    if rng.random() < 0.5:
        answer = f"```json\n{answer}\n```"
    broken = {
        "a bracket lost": answer.replace("]", ""),
        "single quotes": answer.replace('"', "'"),
        "words before it": f"Here it is:\n{answer}",
        "NaN": '{"a": NaN}',
    }
    return _Built("detectable_format:json_format", {}, answer, broken)


def _two_responses(rng: random.Random) -> _Built:
    first, second = "First. " + _text(rng), "Second. " + _text(rng)
    broken = {
        "only one": first,
        "the same twice": f"{first}\n******\n{first} ",
        "the same but for a hidden character": f"{first}\n******\n{first[:9]}\u200b{first[9:]}",
        "three": f"{first}\n******\n{second}\n******\n{first}",
        "an empty one": f"{first}\n******\n...",
    }
    return _Built("combination:two_responses", {}, f"{first}\n******\n{second}", broken)


def _repeat_prompt(rng: random.Random) -> _Built:
    asked, said = f"Describe the {rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)} in your own words.", _text(rng)
    broken = {"nothing after it": asked + "\n", "left out": said, "words before it": f"Sure. {asked}\n\n{said}"}
    return _Built("combination:repeat_prompt", {"prompt_to_repeat": asked}, f"{asked}\n\n{said}", broken)


def _end(rng: random.Random) -> _Built:
    said, end = _text(rng), rng.choice(["Any other questions?", "That is all there is to say."])
    broken = {"left out": said, "words after it": f"{said} {end} Bye.", "in the middle": f"{end} {said}"}
    return _Built("startend:end_checker", {"end_phrase": end}, f"{said} {end}", broken)


def _quotation(rng: random.Random) -> _Built:
    said = _text(rng)
    broken = {
        "one mark lost": f'"{said}',
        "curly marks": f"“{said}”",
        "nothing between": '"..."',
        "words before": f'So "{said}"',
    }
    return _Built("startend:quotation", {}, f'"{said}"', broken)


def _capital(rng: random.Random) -> _Built:
    said = _text(rng)
    broken = {"one small letter": said.upper()[:-2] + "e.", "another language": _FOREIGN["de"].upper()}
    return _Built("change_case:english_capital", {}, said.upper(), broken)


def _small(rng: random.Random) -> _Built:
    said = _text(rng)
    broken = {"one capital": said.lower().capitalize(), "another language": _FOREIGN["fr"].lower()}
    return _Built("change_case:english_lowercase", {}, said.lower(), broken)


def _capital_words(rng: random.Random) -> _Built:
    said = _sentences(rng)
    answer = " ".join(each.replace("The", "THE") for each in said)
    name, size = "change_case:capital_word_frequency", len(said)
    if rng.random() < 0.5:
        kwargs = {"capital_relation": "at least", "capital_frequency": size}
        return _Built(name, kwargs, answer, {"one short": answer.replace("THE", "The", 1)})
    kwargs = {"capital_relation": "less than", "capital_frequency": size + 1}
    return _Built(name, kwargs, answer, {"one too many": answer + " YES."})


def _language(rng: random.Random) -> _Built:
    language = rng.choice(sorted(_FOREIGN))
    other = rng.choice([each for each in sorted(_FOREIGN) if each != language])
    broken = {"in English": _ENGLISH, "in a third language": _FOREIGN[other], "no words": "1 2 3 4 5"}
    return _Built("language:response_language", {"language": language}, _FOREIGN[language], broken)


def _choice(rng: random.Random) -> _Built:
    answer = f"My answer is {rng.choice(['yes', 'no', 'maybe'])}."
    broken = {"hedged": "My answer is yes. My answer is no.", "other words": f"{_sentence(rng)} Perhaps."}
    return _Built("detectable_format:constrained_response", {}, answer, broken)


# Side instructions: each holds for the answer that stands, and is broken by changing it.


def _no_comma(rng: random.Random, main: _Built) -> _Built:
    marks = {"a comma": ",", "a full-width comma": "，"}  # noqa: RUF001
    broken = {how: main.answer.replace(" the ", f"{mark} the ", 1) + mark for how, mark in marks.items()}
    return _Built("punctuation:no_comma", {}, main.answer, broken)


def _forbidden(rng: random.Random, main: _Built) -> _Built:
    word = "jukebox" if main.id == "length_constraints:nth_paragraph_first_word" else rng.choice(_RARE)
    word = next(each for each in [word, *_RARE] if each not in main.answer.lower())
    masks = {
        "the word": word,
        "in capitals": word.upper(),
        "with a hidden character": f"{word[:2]}\u200b{word[2:]}",
        "with a look-alike": word.replace("e", "е").replace("a", "а"),  # noqa: RUF001
    }
    broken = {how: f"{main.answer} {mask}" for how, mask in masks.items()}
    return _Built("keywords:forbidden_words", {"forbidden_words": [word, "harpsichord"]}, main.answer, broken)


def _keywords(rng: random.Random, main: _Built) -> _Built:
    word = next(each for each in main.answer.split() if len(each) > 2 and each.isalpha())
    kwargs = {"keywords": [word]}
    folded = main.answer.lower().replace(word.lower(), "so")
    return _Built("keywords:existence", kwargs, main.answer, {"left out": folded})


def _frequency(rng: random.Random, main: _Built) -> _Built:
    kwargs = {"keyword": "harpsichord", "relation": "less than", "frequency": 2}
    return _Built("keywords:frequency", kwargs, main.answer, {"twice": f"Harpsichord harpsichord {main.answer}"})


def _letters(rng: random.Random, main: _Built) -> _Built:
    size = main.answer.lower().count("e")
    kwargs = {"letter": "e", "let_frequency": size, "let_relation": "at least"}
    if size == 0 or rng.random() < 0.5:
        kwargs = {"letter": "@", "let_frequency": 1, "let_relation": "less than"}
        return _Built("keywords:letter_frequency", kwargs, main.answer, {"one too many": main.answer + "@"})
    short = "".join(main.answer.replace("E", "e").rsplit("e", 1))
    return _Built("keywords:letter_frequency", kwargs, main.answer, {"one short": short})


def _bounds(rng: random.Random, main: _Built) -> _Built:
    size = len(main.answer.strip())
    broken = {"cut": main.answer[: size // 2].strip(), "padded": f"{main.answer} {'very ' * size}"}
    return _Built("count:characters", {"least": size, "most": size}, main.answer, broken)


def _without_digits(rng: random.Random, main: _Built) -> _Built:
    broken = {"a digit": main.answer + "9", "an Arabic digit": main.answer + "٩", "a superscript": main.answer + "²"}
    return _Built("text:avoids", {"pattern": "[9٩²]"}, main.answer, broken)


Main = Callable[[random.Random], _Built]
_MAINS: list[Main] = [
    _number_words,
    _number_sentences,
    _number_paragraphs,
    _nth_paragraph,
    _bullets,
    _highlights,
    _sections,
    _placeholders,
    _postscript,
    _title,
    _json,
    _two_responses,
    _repeat_prompt,
    _end,
    _quotation,
    _capital,
    _small,
    _capital_words,
    _language,
    _choice,
]
_SIDES = [_no_comma, _forbidden, _keywords, _frequency, _letters, _bounds, _without_digits]
_ALONE = frozenset({"language:response_language", "detectable_format:json_format", "combination:repeat_prompt"})
"""Instructions whose answers the sides' keywords and commas do not suit."""
