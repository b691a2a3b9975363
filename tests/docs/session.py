"""The ``python`` blocks of a page, one after the other in one namespace.

Reads a JSON list ``[where, text]`` a line and answers ``ok`` or ``failed``; what blocks print goes
to the error stream.
"""

import json
import linecache
import os
import sys
import traceback

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
sys.path[0] = ""
namespace = {"__name__": "__main__"}
for line in sys.stdin:
    where, text = json.loads(line)
    linecache.cache[where] = (len(text), None, text.splitlines(keepends=True), where)
    answer = "ok"
    try:
        exec(compile(text, where, "exec"), namespace)
    except BaseException:
        traceback.print_exc()
        answer = "failed"
    sys.stdout.flush()
    print(answer, file=answers, flush=True)
