"""Keeps a diary of what the processes of a job do, and does harm at points that a test names.

The product is not changed: some of its functions are wrapped once their modules are imported.
Folder ``CHAOS_DIR``: ``diary`` has a line of JSON for each step; ``points/NAME.json`` asks for harm
(see :func:`point`), and moves to ``reached/`` when somebody gets there; ``go/NAME`` lets go what
is held. ``CHAOS_PACE`` is the seconds between snapshots, ``CHAOS_SLOW`` the seconds that each
request takes longer, ``CHAOS_SKEW`` (``driver=3600`` or ``worker=-60``) sets clocks wrong.
"""

import errno
import importlib.abc
import importlib.util
import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

WHERE = Path(os.environ.get("CHAOS_DIR", ""))
AUDITED = ("open", "os.rename", "os.link", "os.remove")
_real_time, _current = time.time, threading.local()


def install():
    """Wrap what is imported from now on; in processes of Ray's own, do nothing."""
    is_driver = any("full_grid.py" in part for part in sys.orig_argv)
    is_worker = any("default_worker.py" in part for part in sys.orig_argv)
    if not (is_driver or is_worker):
        return
    who, _, seconds = os.environ.get("CHAOS_SKEW", "").partition("=")
    if who == ("driver" if is_driver else "worker"):
        skew(float(seconds))
    sys.meta_path.insert(0, _Finder())
    sys.addaudithook(_audit)
    note("born", who="driver" if is_driver else "worker")


def note(what, **facts):
    """Add a line to the diary; lines of several processes do not mix."""
    facts = {"what": what, "pid": os.getpid(), "time": time.monotonic()} | facts
    file = os.open(WHERE / "diary", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (json.dumps(facts) + "\n").encode())
    os.close(file)


def point(what, **facts):
    """Do the harm that is asked for here, once for each time that it is.

    A point matches if its ``what`` is this and each of its ``at`` is found in the fact of that
    name, texts as patterns. ``do``: ``kill``, ``stop`` (SIGSTOP), ``hold`` (until let go), ``full``
    (no space left on the disk).
    """
    for path in _points():
        asked = _read(path)
        if asked and asked["what"] == what and _matches(asked["at"], facts) and _claim(path, asked):
            note("reached", name=path.stem, do=asked["do"], **facts)
            _harm(asked["do"], path.stem)


def _points():
    try:
        return [WHERE / "points" / name for name in sorted(os.listdir(WHERE / "points"))]
    except OSError:
        return []


def _read(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _matches(at, facts):
    return all(
        bool(re.search(value, str(facts.get(name, "")))) if isinstance(value, str)
        else facts.get(name) == value
        for name, value in at.items()
    )  # fmt: skip


def _claim(path, asked):
    times = asked.get("times", 1)
    try:
        os.rename(path, WHERE / "reached" / path.name)
    except FileNotFoundError:  # somebody else was first
        return False
    if times > 1:
        spare = path.with_suffix(".tmp")
        spare.write_text(json.dumps(asked | {"times": times - 1}))
        os.rename(spare, path)
    return True


def _harm(do, name):
    if do == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif do == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif do == "hold":
        while not (WHERE / "go" / name).exists():
            time.sleep(0.05)
    elif do == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _audit(event, args):
    if event not in AUDITED or getattr(_current, "busy", False):
        return
    if event == "open" and not (isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)):
        return
    path = str(args[1] if event in ("os.rename", "os.link") else args[0])
    if str(WHERE) in path:
        return
    _current.busy = True
    try:
        point(event, path=path)
    finally:
        _current.busy = False


def _wrap_chain(module):
    serve = module.ChainRunner._serve_one

    def serve_one(runner, spec, *rest):
        cell = runner.setting.cell
        facts = {"key": cell.key, "label": cell.label, "position": runner.position}
        point("request", **facts)
        time.sleep(float(os.environ.get("CHAOS_SLOW", "0")))
        record = serve(runner, spec, *rest)
        note("request", **facts)
        return record

    module.ChainRunner._serve_one = serve_one


def _wrap_run(module):
    run_cell, runner = module.run_cell, module._runner

    def run(cell, *rest, **more):
        _current.cell, _current.step = cell, 0
        note("begin", key=cell.key, label=cell.label)
        done = run_cell(cell, *rest, **more)
        note("end", key=cell.key, label=cell.label, done=bool(done))
        _current.cell = None
        return done

    def chosen(cell, *rest, **more):
        note("execute", key=cell.key, label=cell.label, beside=_others_at(cell.key))
        return runner(cell, *rest, **more)

    module.run_cell, module._runner = run, chosen


def _others_at(key):
    """Processes that began with a cell, have not ended it and are alive (``T``: stopped)."""
    at = {}
    for line in (WHERE / "diary").read_text().splitlines():
        event = json.loads(line)
        if event.get("key") == key and event["what"] in ("execute", "end"):
            at[event["pid"]] = event["what"]
    alive = {pid: _state(pid) for pid, what in at.items() if what == "execute"}
    return {pid: state for pid, state in alive.items() if state and pid != os.getpid()}


def _state(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return ""
    return "" if state in "ZX" else state


def _wrap_adam(module):
    step = module.Adam.step

    def counted(optimizer, *rest, **more):
        cell = getattr(_current, "cell", None)
        if cell is not None:
            _current.step += 1
            facts = {"key": cell.key, "label": cell.label, "step": _current.step}
            point("step", **facts)
        return step(optimizer, *rest, **more)

    module.Adam.step = counted


def _wrap_store(module):
    put = module.Store.put_cell

    def put_cell(store, key, record):
        point("put", key=key)
        note("put", key=key)
        won = put(store, key, record)
        note("committed", key=key, won=bool(won))
        point("committed", key=key)
        return won

    module.Store.put_cell = put_cell


def _wrap_journal(module):
    save = module.Journal.save

    def saved(journal, snapshot):
        done = save(journal, snapshot)
        _, _, key, *part = journal.folder.split("/")
        what = "snapshot" if part == ["journal"] else "epoch"  # a folder below: of a training
        note(what, key=key, position=snapshot.position, done=bool(done))
        return done

    module.Journal.save = saved


def _wrap_pace(module):
    if pace := os.environ.get("CHAOS_PACE"):
        module.Pace.__init__.__defaults__ = (float(pace), float(pace), float("inf"))


WRAPPERS = {
    "erase_ray.experiment.chain": _wrap_chain,
    "erase_ray.experiment.run": _wrap_run,
    "erase_ray.experiment.store": _wrap_store,
    "erase_ray.experiment.journal": _wrap_journal,
    "erase_ray.experiment.pace": _wrap_pace,
    "erase_ray.models._adam": _wrap_adam,
}


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules as others do, and has some of them wrapped after they were executed."""

    def find_spec(self, name, path, target=None):
        if name not in WRAPPERS:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            WRAPPERS[name](module)

        spec.loader.exec_module = exec_module
        return spec


def skew(seconds):
    """Set the clock of this process, as ``time`` tells it, so many seconds ahead.

    Not that of ``datetime``, whose class compiled code takes for granted.
    """
    time.time = lambda: _real_time() + seconds
    time.time_ns = lambda: int((_real_time() + seconds) * 1e9)
