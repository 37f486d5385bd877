"""See what there is: recipes, verifiers, curators, objectives, strategies, tasks, models, reproductions.

Files are read and not imported, so this is quick and works without the optional packages.
"""

from __future__ import annotations

import argparse
from typing import Any

KINDS = {
    "recipes": ("homeschool.recipes", "recipe"),
    "verifiers": ("homeschool.verify", "verifier"),
    "curators": ("homeschool.curate", "curator"),
    "objectives": ("homeschool.train", "objective"),
    "strategies": ("homeschool.decode", "strategy"),
    "tasks": ("homeschool.tasks", "task"),
    "reproductions": ("homeschool.reproduce", "reproduce"),
}
MODELS = (
    {
        "name": "nano",
        "summary": "The embedded model: Llama architecture, at most 8 MB, made by `make nano`.",
        "paper": "",
    },
    {"name": "FOLDER", "summary": "Any folder with a causal language model in Hugging Face's format.", "paper": ""},
    {"name": "hf:ORG/NAME", "summary": "A model of the Hugging Face hub.", "paper": ""},
    {"name": "http://HOST/v1#NAME", "summary": "A model behind any OpenAI-compatible server.", "paper": ""},
    {"name": "vllm:NAME_OR_FOLDER", "summary": "A vLLM server that is started and ended for the run.", "paper": ""},
)


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind", nargs="?", choices=[*KINDS, "models"], metavar="KIND", help=", ".join([*KINDS, "models"])
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    kinds = [args.kind] if args.kind else [*KINDS, "models"]
    return {kind: _listed(kind) for kind in kinds}


def say(result: dict[str, Any]) -> str:
    lines: list[str] = []
    for kind, entries in result.items():
        width = max((len(entry["name"]) for entry in entries), default=0)
        lines.append(kind)
        for entry in entries:
            paper = f"  [{entry['paper']}]" if entry["paper"] else ""
            lines.append(f"  {entry['name']:{width}}  {entry['summary']}{paper}")
    return "\n".join(lines)


def _listed(kind: str) -> list[Any]:
    from homeschool.core.discover import implementations

    return list(MODELS) if kind == "models" else list(implementations(*KINDS[kind]))
