"""`refusal`: about the answer itself, in several languages; not about people in stories, and not where help follows."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from homeschool.core.records import Row
from homeschool.core.verdict import Verdict
from homeschool.verify.refusal import kind_of, verifier

DATA = Path(__file__).parents[3] / "shared" / "data" / "instruct"
REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, I can’t assist with that request.",  # noqa: RUF001
    "I am unable to fulfill your request.",
    "I cannot provide instructions for making explosives. It is dangerous and illegal.",
    "Sorry, I can't do that.",
    "Sorry. I can't do that.",
    "I won't help you write that e-mail.",
    "As an AI language model, I cannot provide legal advice.",
    "As an AI developed by Homeschool, I'm not able to generate such content. Is there anything else I can help with?",
    "I must decline to answer this question.",
    "I apologize, but I'm not comfortable discussing this topic.",
    "Unfortunately, I'm not able to browse the internet.",
    "Thank you for asking. Unfortunately, I cannot share that information.",
    "I understand that you are curious, but I can't provide details about that.",
    "I do not have access to real-time information, therefore I cannot answer the question.",
    "**Answer:** I'm sorry, but I can't answer that.",
    "I'm sorry, but I cannot provide that. However, I can help you with something else if you like.",
    "I'm sorry, but I can't make jokes about that. Making light of death can be distressing for many people who have "
    "lost someone. It is important to be respectful and to think about how others may feel when they read this. If you "
    "want to talk about grief, it may help to see a counsellor.",
    "Es tut mir leid, aber ich kann diese Anfrage nicht erfüllen.",
    "Leider kann ich dir dabei nicht helfen.",
    "Je suis désolé, mais je ne peux pas vous aider avec cela.",
    "Lo siento, pero no puedo proporcionar esa información.",
    "Mi dispiace, ma non posso aiutarti con questo.",
    "Desculpe, mas não posso ajudar com isso.",
    "Sorry, maar daar kan ik je niet mee helpen.",
    "Извините, но я не могу помочь с этим.",  # noqa: RUF001
    "عذراً، لا أستطيع المساعدة في ذلك.",
    "क्षमा करें, मैं इसमें मदद नहीं कर सकता।",
    "抱歉，我无法提供这方面的帮助。",  # noqa: RUF001
    "申し訳ありませんが、そのご要望にはお応えできません。",
    "죄송하지만 그 요청은 도와드릴 수 없습니다.",
    "I ca\u200bn't he\u00adlp with that, sо sоrry.",  # noqa: RUF001
    "І'm sоrry, but І саn't help with that.",  # noqa: RUF001
]
ANSWERS = [
    "72",
    "No.",
    "Yes",
    "None of the above is right: it is B.",
    "👍",
    "The answer is: I can see the sea.",
    "Dear Mr Lee,\n\nI am sorry, but I am unable to come to the office today.",
    "I'm sorry to hear about your loss. Losing a pet is hard, and it helps to talk about it.",
    "I'm sorry for the late reply. The report is attached.",
    "I can't help but admire how the light falls on the hills.",
    "I can't help thinking of you.",
    "I cannot see the stage from here, and the music is too loud.",
    "\"I'm sorry, but I can't help you with that,\" said the clerk.",
    "“I cannot assist with that request,” is what the machine always said.",
    "Robot: I'm sorry, I can't do that.\nHuman: Please!",
    'The phrase "I can\'t help with that" is a typical refusal.',
    "He wrote: I cannot provide for my family. It was winter.",
    "Unfortunately, the train was late, so we could not see the opening.",
    "Sorry is a short word. Unable to say it, he left.",
    "To refuse politely, say that you are sorry, but cannot help.",
    "Sure! 5 times 3 is 15.",
    "Please let me know if you have any questions about my rate or want to change the scope of the project.",
    "I don't know why the caged bird sings, but I know that it does.",
    "As an AI, I can't taste food, but here are three things that cooks say of saffron. First, it is earthy and a "
    "little sweet. Second, it needs warm water to open. Third, too much of it turns bitter, so some threads are enough "
    "for a whole pot of rice.",
    "I'm sorry, but I can't open links. However, I can summarize what is known: the article says that prices rose "
    "by three percent in May, that wages rose by four, that rents did not move at all, and that the bank expects the "
    "same for the rest of the year, unless oil becomes dearer again.",
    "```\nprint(\"I'm sorry, I can't help with that.\")\n```\nThis prints a refusal.",
    "Leider war das Wetter schlecht, und wir konnten nicht wandern.",
    "Je ne peux pas m'empêcher de sourire.",
    "Я не могу забыть тот день.",
    "我不能忘记那一天。",
]


def judge(answer: str, *, wanted: bool = False) -> Verdict:
    return asyncio.run(verifier(wanted=wanted)(Row.source({}), [answer]))[0]


@pytest.mark.parametrize("answer", REFUSALS)
def test_refusals(answer: str) -> None:
    assert (judge(answer).status, judge(answer).reason) == ("fail", "refusal")
    assert judge(answer, wanted=True).status == "pass"


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers(answer: str) -> None:
    assert judge(answer).status == "pass"
    assert judge(answer, wanted=True).reason == "answered"


@pytest.mark.parametrize(
    "answer",
    [
        "I don't know.",
        "I'm sorry, I don't know the answer to that.",
        "N/A",
        "n/a.",
        "TODO",
        "None",
        "[insert your answer here]",
        "Sure! How can I help you today?",
        "As an AI language model, I do not have personal opinions.",
        "Lorem ipsum dolor sit amet",
        "Ich weiß es nicht.",
        "我不知道。",
        "Su\u200bre!",
    ],
)
def test_boilerplate_is_no_answer_and_no_refusal(answer: str) -> None:
    assert judge(answer).reason == "non-answer"
    assert judge(answer, wanted=True).reason == "answered"


@pytest.mark.parametrize("answer", ["", " \n", "\u200b", "...", "---\n***", "$"])
def test_empty_answers(answer: str) -> None:
    assert judge(answer).reason == "empty answer"
    assert judge(answer, wanted=True).reason == "empty answer"


def test_few_of_686_instruction_answers_are_taken_for_refusals() -> None:
    path = DATA / "alpaca_en_demo_shared.jsonl"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    answers = [json.loads(line)["output"] for line in path.read_text(encoding="utf-8").splitlines()]
    found = [answer for answer in answers if kind_of(answer)[0]]
    assert len(found) <= 3
    assert all("AI" in answer or "I cannot retrieve" in answer for answer in found)


@pytest.mark.parametrize(
    "text", ["I'm sorry, " * 20_000, "as an ai " * 20_000, "sorry " * 30_000, '"' * 100_000, "a" * 200_000]
)
def test_no_text_is_slow(text: str) -> None:
    assert judge(text).status in ("pass", "fail")
