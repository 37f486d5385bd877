"""How refusals begin, in the languages that `refusal` knows. Patterns are matched at the start of a sentence.

English is put together from parts: what leads in (an apology, "as an AI"), the inability, what cannot be done. Without
a lead-in the sentence must also name its object, for "I can't see the stage" is a line of any story.
"""

from __future__ import annotations

import re

_MACHINE = (
    r"(?:ai|a\.i\.|artificial intelligence|language model|chatbot|chat assistant|virtual assistant|computer program)"
)
_LEAD = (
    r"(?:(?:"
    rf"as an? (?:[\w-]+ ){{0,5}}{_MACHINE}[^,.]{{0,60}}"
    rf"|(?:i'm|i am) (?:just |only )?an? (?:[\w-]+ ){{0,4}}{_MACHINE}[^,.]{{0,60}}"
    r"|(?:i'm|i am|i feel) (?:really |very |so |truly |terribly )?(?:sorry|afraid)(?: to say| to hear that)?(?: that)?"
    r"|(?:my )?(?:sincere |deepest )?apolog(?:ies|[iy])(?: for [^,.]{0,60})?|i apologi[sz]e(?: for [^,.]{0,60})?"
    r"|(?:so |very )?sorry(?: about that)?|unfortunately|regrettably|no|oh|hmm|well"
    r"|(?:while )?i (?:understand|appreciate|see)[^,.]{0,80}|thank(?:s| you)[^,.]{0,60}"
    r"|i (?:must|have to|need to) (?:inform|tell) you(?: that)?"
    r")[,;:.! -]+(?:(?:but|and|so|however|that|therefore)[, ]+){0,2}){1,4}"
)
_LABEL = r"(?:(?:the )?(?:final )?(?:answer|response|assistant)(?: is)?\s?:\s*)?"
_UNABLE = (
    r"i (?:really |simply |just |also |actually |personally |honestly )?"
    r"(?:can't|cannot|can not|could not|couldn't|won't|will not|am unable to|am not (?:able|allowed"
    r"|permitted|willing|going) to"
    r"|do not have the ability to|don't have the ability to|am not capable of|do not feel comfortable"
    r"|don't feel comfortable"
    r"|am not comfortable|am not programmed to|am not designed to|wouldn't be able to"
    r"|would not be able to|must refuse to"
    r"|don't think i (?:can|should)|do not think i (?:can|should)|refuse to)"
)
_UNABLE = (
    rf"(?:{_UNABLE}|i'm (?:\w+ )?(?:unable to|not (?:able|allowed|permitted|willing|going) to"
    rf"|not capable of|not comfortable))"
)
_DO = (
    r" (?:\w+ly |even |be able to )?(?:help(?:ing)?(?! but)(?! (?!with|you)\w+ing)|assist(?:ing)?"
    r"|provid(?:e|ing)|answer(?:ing)?"
    r"|fulfil+(?:ing)?|comply(?:ing)?|do(?:ing)? (?:that|this|so|it)|creat(?:e|ing)|writ(?:e|ing)|generat(?:e|ing)"
    r"|continue|discuss(?:ing)?|support(?:ing)?|engag(?:e|ing)|giv(?:e|ing) (?:you|out|advice"
    r"|instructions|legal|medical)"
    r"|shar(?:e|ing)|offer(?:ing)?|participat(?:e|ing)|produc(?:e|ing)|respond(?:ing)?|complet(?:e|ing)|recommend"
    r"|condone|encourage|promote|accommodate|browse|access|retrieve|tell you|advise|make (?:jokes|value|judgments)"
    r"|perform|summari[sz]e|translate|describe|suggest|predict|say)"
)
_OBJECT = (
    r"(?:[.!]?$| (?:\w+ ){0,4}(?:you|your|that|this|these|those|such|any|anything|requests?|information"
    r"|instructions?|content|"
    r"questions?|prompt|task|details|advice|assistance|guidance|material|links?|access|how)\b)"
)
_DECLINE = (
    r"(?:i (?:must|have to|will have to|respectfully|need to)(?: respectfully| politely)? decline"
    r"|i (?:am|'m) (?:going|forced) to decline|i decline to|that(?:'s"
    r"| is) (?:not )?something (?:that )?i (?:can't|cannot|can|won't)"
    r"|(?:this|that|your) request (?:violates|goes against|is against|cannot be|can't be))"
)
_NO_DATA = (
    r"i (?:do not|don't|currently do not|currently don't) (?:currently )?have (?:direct |any |real-time )?"
    r"(?:access to|(?:enough|sufficient) information|up-to-date|real-time|personal addresses)"
)
_THEREFORE = (
    r"[^.!?]{0,200}[, ](?:therefore|so|thus),? i (?:cannot|can't|am unable to|won't) (?:answer|help|provide|assist)"
)
_ENGLISH = (
    rf"{_LABEL}(?:{_LEAD}(?:{_UNABLE}{_DO}\b|{_DECLINE}|{_NO_DATA}|(?:can't|cannot|unable to){_DO}\b)"
    rf"|{_UNABLE}{_DO}{_OBJECT}|{_DECLINE}|{_NO_DATA}{_THEREFORE}|{_NO_DATA}|i can't answer|i cannot answer)"
)
_OTHERS = (
    # German
    r"(?:leider|entschuldigung|entschuldige|verzeihung|(?:es )?tut mir (?:sehr |wirklich )?leid|als ki\b"
    r"|ich bedaure)[^.!?]{0,90}"
    r"(?:kann|darf|werde|könnte)[^.!?]{0,20}\bich\b[^.!?]{0,100}(?:nicht|keine?n?)\b",
    r"(?:leider|tut mir leid|es tut mir leid)[^.!?]{0,30}\bich (?:kann|darf|werde)[^.!?]{0,100}(?:nicht|keine?n?)\b",
    r"(?:ich kann|dabei kann ich) (?:dir |ihnen |euch )?(?:dabei |damit |bei |diese |darauf )[^.!?]{0,60}nicht"
    r" (?:helfen|weiterhelfen|beantworten|erfüllen|antworten|nachkommen|behilflich)",
    # French
    r"(?:(?:je suis )?(?:vraiment )?désolée?|je regrette|malheureusement|navrée?|en tant qu'ia)[^.!?]{0,80}je ne "
    r"(?:peux|puis|suis) pas",
    r"je ne (?:peux|puis) pas (?:vous |t'|te |y )?(?:aider|répondre|fournir|satisfaire|accéder|donner suite)",
    # Spanish
    r"(?:lo siento|lamento|lo lamento|disculpa|perdón|desafortunadamente|lamentablemente|como ia)[^.!?]{0,80}no "
    r"(?:puedo|podré|me es posible|estoy en condiciones)",
    r"no puedo (?:ayudar|responder|proporcionar|cumplir|ofrecer|darte|darle)",
    # Italian
    r"(?:mi dispiace|purtroppo|spiacente|mi scuso|come ia)[^.!?]{0,80}non (?:posso|sono in grado|mi è possibile)",
    r"non posso (?:aiutar|risponder|fornir|soddisfar)",
    # Portuguese
    r"(?:desculpe|desculpa|sinto muito|lamento|infelizmente|como uma? ia)[^.!?]{0,80}não (?:posso|consigo"
    r"|me é possível)",
    r"não posso (?:ajudar|responder|fornecer|atender)",
    # Dutch
    r"(?:sorry|het spijt me|helaas|excuses)[^.!?]{0,60}(?:(?:kan|mag) ik|ik (?:kan|mag))[^.!?]{0,90}(?:niet|geen)\b",
    # Russian
    r"(?:извините|простите|к сожалению|мне жаль|сожалею|прошу прощения)[^.!?]{0,80}не (?:могу|смогу|в состоянии|имею)",
    r"я не (?:могу|смогу) (?:вам |тебе )?(?:помочь|ответить|предоставить|выполнить)",
    # Arabic
    r"(?:عذر[اًً]*|آسف|أعتذر|للأسف|المعذرة)[^.!؟]{0,80}(?:لا أستطيع|لا يمكنني|لن أتمكن|غير قادر)",
    # Hindi
    r"(?:क्षमा|माफ़|माफ|खेद)[^।!?]{0,100}(?:नहीं (?:कर|दे|बता) सक|असमर्थ)",
    # Chinese, Japanese, Korean
    r"(?:非常)?(?:抱歉|对不起|對不起|很遗憾|很遺憾|不好意思|作为(?:一个|一個)?(?:ai|人工智能))[^。！？]{0,50}(?:不能|无法|無法|没办法|不便|拒绝)",  # noqa: RUF001
    r"我(?:不能|无法|無法)(?:提供|回答|帮助|幫助|满足|协助)",
    r"(?:大変)?(?:申し訳|すみません|残念ながら|ごめんなさい|恐れ入りますが)[^。]{0,80}(?:できません|出来ません|かねます|ございません)",
    r"(?:죄송|미안|유감|안타깝)[^.!?]{0,80}(?:수 (?:는 )?없|못합니다|어렵습니다)",
)
REFUSES = re.compile(rf"(?:{_ENGLISH}|{'|'.join(_OTHERS)})", re.IGNORECASE)
"""A sentence that refuses, or says that it cannot."""

APOLOGY = re.compile(
    rf"{_LABEL}(?:(?:oh|hmm|well|hi|hello|hey)\b[^.!?]{{0,40}}[.!]|[^.!?]{{0,40}}\b(?:sorry|apologi[sz]e"
    rf"|apologies|unfortunately"
    rf"|understand|appreciate|thank you|thanks)\b|[^.!?]{{0,60}}\b{_MACHINE}\b|i am not capable|(?:es )?tut mir"
    r"|désolé|je suis|lo siento|mi dispiace|desculpe|sinto muito|извините|простите|抱歉|对不起|申し訳|すみません|죄송)",
    re.IGNORECASE,
)
"""A first sentence after which the second may be the one that refuses."""

HELP_AFTER_ALL = re.compile(
    r"\b(?:however|nevertheless|nonetheless|that said|here(?:'s| is| are)|below is|in general|generally"
    r"|(?:but|instead,?) (?:i (?:can|could|will|would|might)|here|there|as|based|let)"
    r"|i (?:can|could|will|would) (?:still |certainly |also |gladly |definitely )?(?:offer|provide|give"
    r"|suggest|share|try|tell|write"
    r"|create|describe|generate)|aber|jedoch|stattdessen|cependant|toutefois|sin embargo|pero|tuttavia"
    r"|però|porém|no entanto"
    r"|echter|maar|однако|но)\b|但|しかし|ただし|하지만|다만",
    re.IGNORECASE,
)
"""What begins an offer in place of what was refused."""

NON_ANSWER = re.compile(
    rf"{_LABEL}(?:(?:i'm sorry,? (?:but )?|sorry,? (?:but )?|unfortunately,? )?(?:"
    r"i (?:really |honestly )?(?:don't|do not) know(?: (?:the answer|how to answer|that|this|what|who"
    r"|anything about)[^.!?]*)?"
    r"|i have no (?:idea|opinion|answer|comment)[^.!?]*"
    r"|i(?:'m| am) not sure(?: (?:what you (?:mean|are asking)|i understand|how to answer)[^.!?]*)?"
    rf"|as an? (?:[\w-]+ ){{0,5}}{_MACHINE}[^,.]{{0,60}},? i (?:don't|do not|lack|have no|am not)\b[^.!?]*"
    rf"|i am not capable of [^.!?]*{_MACHINE}[^.!?]*"
    r"|i (?:don't|do not) have (?:personal|any|thoughts|feelings|emotions|opinions|preferences)[^.!?]*"
    r"|instead,? i am designed to [^.!?]*"
    r"|sure|certainly|of course|okay|ok|great|hello|hi|i(?:'d| would) be happy to help(?: you)?(?: with that)?"
    r"|(?:please )?(?:feel free to|let me know|don't hesitate to)\b[^.!?]{0,50}"
    r"|(?:if you|is there anything|do you have)\b[^.!?]{0,40}\b(?:questions?|else|help|assistance)\b[^.!?]{0,40}"
    r"|(?:how|what) (?:can|may) i (?:help|assist|do for) you[^.!?]*"
    r"|n/?a|none|null|todo|tbd|no answer|no comment|no response|unknown|lorem ipsum\b.*|your answer here"
    r"|\[(?:insert|your)\b[^\]]*\]"
    r"|ich wei(?:ß|ss) (?:es )?nicht|je ne sais pas|no (?:lo )?sé|non lo so|não sei|я не знаю|не знаю"
    r"|我不知道|わかりません|모르겠습니다"
    r"))[.!?…。 ]*",
    re.IGNORECASE,
)
"""A sentence that says nothing. An answer of nothing else is boilerplate."""
