"""Homeschool: a model writes its own lessons, a verifier checks every one, and it learns only from what passed."""

from __future__ import annotations

__version__ = "0.1.0"
