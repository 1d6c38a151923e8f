#!/usr/bin/env python3
"""Checks that docs/reference/wire.md shows its examples as they stand in docs/reference/examples/."""
import pathlib
import re
import sys

folder = pathlib.Path(__file__).resolve().parents[3] / "docs/reference"
page = (folder / "wire.md").read_text()
shown = re.findall(r"<!-- include (\S+) -->\n```\w+\n(.*?)```\n", page, re.S)
wrong = [name for name, text in shown if text != (folder / name).read_text()]
files = {f"examples/{file.name}" for file in (folder / "examples").iterdir()}
wrong += sorted(files - {name for name, _ in shown})
for name in wrong:
    print(f"docs/reference/wire.md does not show {name} as it is")
sys.exit(1 if wrong or not shown else 0)
