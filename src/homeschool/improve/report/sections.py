"""The report's evidence, one function per section: the opening, levels, controls, the exam, cost, health, rounds.

Each takes the result and returns markup, or "" where the run has nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from homeschool.improve.report.curves import WHOLE, main_names, rounds_of
from homeschool.improve.report.page import bullets, figure, key, kicker, prose, section, table
from homeschool.improve.report.plots import (
    accuracy_plot,
    bars,
    cost_plot,
    funnel_plot,
    level_plots,
    trace_plot,
    yield_plot,
)
from homeschool.improve.report.svg import clean
from homeschool.improve.report.words import (
    NOT_MEASURED,
    Result,
    at,
    between,
    chance,
    count,
    duration,
    making,
    outcome,
    percent,
    points,
    run_name,
    short,
    tally,
    total,
)


def opening(result: Result) -> str:
    said = outcome(result)
    seed = None if result.get("seed") is None else f"seed {result['seed']}"
    above = kicker(["Homeschool report", run_name(result), result.get("task"), result.get("method"), seed])
    figures = [
        ("before", percent(said.before)),
        ("after", percent(said.after)),
        ("points gained", points(result.get("gain_points"))),
        ("exam problems", count(said.n)),
        ("the whole loop", duration(result.get("seconds"))),
    ]
    dev = next((at(record, "dev", "n") for record in rounds_of(result) if at(record, "dev", "n")), None)
    exam = count(at(result, "base", "n") or at(result, "final", "n"))
    gate = f"Small dots: {count(dev)} other problems that the gate looks at after each round. " if dev else ""
    dashes = "Dashes: controls, which had the same compute but no verifier. " if result.get("controls") else ""
    strip = "The strip names the level being learned. " if any(r.get("level") for r in rounds_of(result)) else ""
    undone = any(record.get("decision") == "rolled back" for record in rounds_of(result))
    hollow = "Hollow dots on a dotted line: rounds that were rolled back. " if undone else ""
    caption = (
        f"Share of problems answered exactly right, by round. Large dots: the exam ({exam} problems, sat once before "
        f"and once after). {gate}{dashes}{strip}{hollow}Bars and bands are 95% intervals."
    )
    drawings = accuracy_plot(result) + accuracy_plot(result, narrow=True)
    return "\n".join(
        (
            f"<header>{above}",
            f"<h1>{clean(said.statement)}</h1>",
            f'<p class="evidence">{clean(said.evidence)}</p>' if said.evidence else "",
            prose(making(result)),
            f"{key(figures)}</header>",
            f'<div class="lead">{figure("", drawings, clean(caption))}</div>',
        )
    )


def levels_section(result: Result) -> str:
    drawings = level_plots(result)
    if not drawings:
        return ""
    grid = '<div class="levels">' + "".join(drawings) + "</div>"
    note = '<span class="swatch learning"></span>rounds that learned from this level. Colours as above.'
    return section("Level by level", f"<figure>{grid}<figcaption>{note}</figcaption></figure>")


def controls_section(result: Result) -> str:
    arms = result.get("controls") or []
    title = "Is it the verifier?"
    if not arms:
        return section(title, f'<p class="none">{NOT_MEASURED}: run again with --controls.</p>')
    group = main_names(result)[0]
    final = _group(result.get("final"), group)
    rows = [["verified (this run)", _share(final), _gain(result), ""]]
    for arm in arms:
        versus = arm.get("versus_verified") or {}
        rows.append(
            [
                clean(arm.get("name")),
                _share(_group(arm.get("final"), group)),
                _gain(arm),
                _gain({**versus, "gain_points": versus.get("difference_points")}),
            ]
        )
    head = ["trained on", "accuracy", "gain", "against verified"]
    words = (
        f"The same problems, the same number of answers and training tokens, without the verifier. "
        f"Accuracy {outcome(result).where}; gains and differences in points."
        " A difference below zero means that the control ends lower."
    )
    return section(title, prose(words), table(head, rows, ours=0))


def _group(exam: Any, name: str) -> Any:
    return at(exam, "groups", name) or (exam if name == WHOLE else None)


def _cell(value: str, interval: str) -> str:
    """A value with its interval below it; "not measured" is said once."""
    return value if interval == NOT_MEASURED else f"{value}<br><small>{interval}</small>"


def _share(numbers: Any) -> str:
    return _cell(percent(at(numbers, "accuracy"), digits=1), between(at(numbers, "ci95"), scale=100))


def _gain(change: Any) -> str:
    """A gain in points; one that rests on no common problem was not measured."""
    return (
        NOT_MEASURED if at(change, "n") == 0 else _cell(points(at(change, "gain_points")), between(at(change, "ci95")))
    )


def numbers_section(result: Result) -> str:
    base, final = result.get("base") or {}, result.get("final") or {}
    names: list[str] = list(dict.fromkeys([*(base.get("groups") or {}), *(final.get("groups") or {})]))
    gains = result.get("groups_gain") or {}
    rows = [_gain_row(name, at(base, "groups", name), at(final, "groups", name), gains.get(name)) for name in names]
    if WHOLE not in names:
        rows.append(_gain_row(WHOLE, base, final, result))
    head = ["", "before", "after", "gain", "p", "n"]
    words = (
        "Before and after, with 95% intervals; gains in points, paired problem by problem (p: McNemar's exact test)."
    )
    return section("The exam in numbers", prose(words), table(head, rows))


def _gain_row(name: str, before: Any, after: Any, gain: Any) -> list[str]:
    p_value = chance(at(gain, "p_value")).removeprefix("p ").removeprefix("= ")
    n = at(gain, "n") or at(after, "n") or at(before, "n")
    return [clean(name), _share(before), _share(after), _gain(gain), clean(p_value) if gain else "", count(n)]


def sharper_section(result: Result) -> str:
    gains = result.get("pass_at_gain") or {}
    rows = [
        [
            clean(f"{name}, pass@{k}"),
            percent(at(result, "base", "pass_at", k, name), digits=1),
            percent(at(result, "final", "pass_at", k, name), digits=1),
            _gain(gain),
            count(at(gain, "n")),
        ]
        for k, groups in gains.items()
        for name, gain in groups.items()
    ]
    if not rows:
        return ""
    words = (
        "A model that only grows surer of what it could do already loses variety: its chance of a right answer among "
        "many (pass@k) falls. Here it is before and after, in percent."
    )
    return section("New ability, or only sharper?", prose(words), table(["", "before", "after", "gain", "n"], rows))


def making_section(result: Result) -> str:
    rounds = rounds_of(result)
    failed = sorted(tally(rounds, "failed").items(), key=lambda pair: -pair[1])
    lost = sum(number for _, number in failed) or 1
    reasons = [(name, number, f"{count(number)} \N{MIDDLE DOT} {percent(number / lost)}") for name, number in failed]
    legend = " &nbsp; ".join(
        f'<span class="swatch {name}"></span>{words}'
        for name, words in (("kept", "kept"), ("dropped", "passed, but dropped by a rule"), ("failed", "failed"))
    )
    broken = total(rounds, "broken")
    asides = [f"{count(broken)} answers could not be judged (the verifier's fault)."] if broken else []
    cards = [
        figure("From answers to lessons, all rounds", funnel_plot(result)),
        figure("Share of each round's answers", yield_plot(result), legend),
        figure("Why answers failed", bars(reasons[:6], label="failures") if reasons else ""),
    ]
    if total(rounds, "kept"):
        cards.append(figure("Tokens per kept lesson, by round", cost_plot(result, "tokens")))
        cards.append(figure("Seconds per kept lesson, by round", cost_plot(result, "seconds")))
    asides.insert(0, _cost(rounds))
    return section("What a lesson cost", prose(" ".join(asides)), '<div class="cards">' + "".join(cards) + "</div>")


def _cost(rounds: Sequence[Result]) -> str:
    kept, tokens, seconds = (total(rounds, name) for name in ("kept", "tokens", "seconds"))
    if not kept or tokens is None:
        return "No lesson was kept." if kept == 0 else f"Cost per lesson: {NOT_MEASURED}."
    took = f" and {short(seconds / kept)} seconds" if seconds is not None else ""
    return f"Every kept lesson took {short(tokens / kept)} generated tokens{took}; {count(kept)} were kept."


def _worries(record: Result) -> list[str]:
    """What in a round's vital signs a person should look at."""
    uniform, identical = at(record, "health", "uniform_groups"), at(record, "health", "identical_unsolved")
    worries: list[str] = []
    if uniform is not None and uniform >= 0.9:
        worries.append(f"{percent(uniform)} of the problems were solved by all of their samples or by none.")
    if identical is not None and identical >= 0.5:
        worries.append(f"{percent(identical)} of the unsolved problems got one and the same answer every time.")
    return worries


def health_section(result: Result) -> str:
    rounds = rounds_of(result)
    trained = [(at(record, "train", "steps") or 0) for record in rounds]
    marks = [sum(trained[: index + 1]) for index in range(len(trained) - 1)]
    loss = [(float(step), float(value)) for step, value in result.get("loss") or [] if value is not None]
    inside = [mark for mark in marks if loss and loss[0][0] < mark < loss[-1][0]]
    entropy = [(float(r["round"]), float(r["entropy"])) for r in rounds if r.get("entropy") is not None]
    recall = [
        (float(r["round"]), at(r, "recall", "accuracy")) for r in rounds if at(r, "recall", "accuracy") is not None
    ]
    said = [f"Round {record['round']}: {words}" for record in rounds for words in _worries(record)]
    cards = (
        figure("Training loss, by step", trace_plot(loss, label="loss", marks=inside), "Dotted: a round begins."),
        figure("Entropy of the answers, by round", trace_plot(entropy, label="entropy"), "Nats per token."),
        figure("Forgetting set, by round", trace_plot(recall, label="forgetting"), "Share that it still gets right."),
    )
    health = bullets(said) if said else '<p class="soft">No warning was raised.</p>' if rounds else ""
    return section("Loss and health", '<div class="cards">' + "".join(cards) + "</div>", health)


def rounds_section(result: Result) -> str:
    rounds = rounds_of(result)
    if not rounds:
        return ""
    head = ["round", "level", "asked", "passed", "kept", "steps", "loss", "gate's problems", "decision"]
    rows = [
        [
            str(record.get("round")),
            "" if record.get("level") is None else clean(record["level"]),
            count(record.get("asked")),
            percent((record.get("passed") or 0) / record["asked"]) if record.get("asked") else NOT_MEASURED,
            count(record.get("kept")),
            count(at(record, "train", "steps")) if record.get("train") else "none",
            _loss(record.get("train")),
            _share(record.get("dev")),
            f"{_decision(record.get('decision'))}<br><small>{clean(record.get('why') or '')}</small>",
        ]
        for record in rounds
    ]
    return section("Round by round", f'<div class="rounds">{table(head, rows, words=(8,))}</div>')


def _loss(train: Any) -> str:
    loss = at(train, "loss")
    return "" if not train else NOT_MEASURED if loss is None else f"{loss:.3f}"


def _decision(decision: str | None) -> str:
    style = {"accepted": "good", "rolled back": "bad", "stopped": "bad"}.get(decision or "", "soft")
    return f'<span class="{style}">{clean(decision or NOT_MEASURED)}</span>'
