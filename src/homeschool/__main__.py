"""`python -m homeschool` is the command `homeschool`."""

from __future__ import annotations

from homeschool.cli.main import main

main()
