"""A process that has imported the project and runs each command in a fork of itself.

The pages have a hundred commands, and a process that imports torch, pandas and Ray needs some
seconds before it does anything. A command that runs here has the arguments, environment, folder and
streams of the program that asked for it (``forward.py``, which is ``erase-ray`` and ``python`` on
the path of a page), and its exit code.

    python warm.py SOCKET
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from typing import Any, NoReturn

PRELOADED = (
    *("erase_ray.cli.main", "erase_ray.api.running", "erase_ray.api.unlearning"),
    *("erase_ray.datasets", "erase_ray.experiment.run", "erase_ray.report.page"),
    *("duckdb", "matplotlib.figure", "pyarrow.parquet", "s3fs", "scipy.stats"),
)
MOST = 1 << 20


def serve(address: str) -> NoReturn:
    """Fork for each caller until the input ends."""
    for name in PRELOADED:
        __import__(name)
    gc.freeze()  # no fork looks through what it shares with this process
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        # the input ends with whoever started this
        while server in select.select([server, sys.stdin], [], [])[0]:
            caller, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _handle(caller)
            caller.close()
    os._exit(0)


def _handle(caller: socket.socket) -> NoReturn:
    """Run what the caller wants, until it is done or the caller is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(caller, MOST, 3)
    asked = json.loads(message)
    child = os.fork()
    if child == 0:
        os.setsid()
        caller.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        _leave(_code_of(asked))
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([caller, ended], [], [])
    if ended not in ready:  # the caller was ended, and with it what it asked for
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGTERM)
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    spent_s = used.ru_utime + used.ru_stime
    print(f"{spent_s:.1f} s of processor time, ended with {code}: {asked['arguments']}", flush=True)
    with contextlib.suppress(OSError):
        caller.sendall(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def _code_of(asked: dict[str, Any]) -> int:
    """Exit code of a command, as Python makes it of what a program ends with."""
    try:
        return run(asked)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0
    except BaseException:
        traceback.print_exc()
        return 1


def _leave(code: int) -> NoReturn:
    """End as Python does, but for taking every object apart, which takes a second."""
    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run(asked: dict[str, Any]) -> int:
    """The command in this process, which is its own."""
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    program, *arguments = asked["arguments"]
    if program == "erase-ray":
        from erase_ray.cli.main import main

        sys.argv = [program, *arguments]
        return main()
    sys.argv = arguments
    sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
    runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
