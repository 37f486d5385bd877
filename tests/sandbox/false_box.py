"""A box that is none, started where `sandbox/inside/enter.py` would be: it says that it is ready, and then SAYS.

SAYS (an environment variable) is what follows on the first job: `silence`, `end`, or lines `records HEX` and
`control HEX` of bytes that are written where the judge, or the keeper, would write. For test_box.py.
"""

from __future__ import annotations

import json
import os
import time


def message() -> dict[str, object]:
    size = int.from_bytes(os.read(0, 4), "big")
    data = b""
    while len(data) < size:
        data += os.read(0, size - len(data))
    return json.loads(data)


def frame(value: object) -> bytes:
    data = json.dumps(value).encode()
    return len(data).to_bytes(4, "big") + data


control = message()["control"]
assert isinstance(control, int)
os.write(control, frame({"ready": True, "python": "3"}))
message()
for line in os.environ["SAYS"].splitlines():
    word, _, text = line.partition(" ")
    if word == "end":
        os._exit(0)
    if word != "silence":
        os.write(control if word == "control" else 1, bytes.fromhex(text))
time.sleep(60)
