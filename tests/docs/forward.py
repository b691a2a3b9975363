"""``erase-ray`` and ``python`` of the pages: passes a command to the warm process.

Only what imports much goes there: ``erase-ray ...`` and ``python SCRIPT.py ...``.
"""

import json
import os
import socket
import sys


def main() -> int:
    """Exit code of the command."""
    program, *arguments = [os.path.basename(sys.argv[1]), *sys.argv[2:]]
    if program != "erase-ray" and not (arguments and arguments[0].endswith(".py")):
        os.execv(sys.executable, [sys.executable, *arguments])
    asked = {
        "arguments": [program, *arguments],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
    }
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(os.environ["DOCS_WARM"])
        socket.send_fds(server, [json.dumps(asked).encode()], [0, 1, 2])
        return int(server.recv(16) or 1)


sys.exit(main())
