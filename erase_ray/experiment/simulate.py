"""A run of a plan on a cluster that is made up: the real dispatcher, simulated machines and time.

Machines have borders: what is free on two of them does not add up, nor do parts of two GPUs. A
worker that ends is given the next node of its class, as Ray Tune reuses its actors; any other node
has to wait for a new worker to start. What waits is placed where least is left over (``PACK``).
"""

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from erase_ray.experiment.dispatch import NODE, Dispatcher
from erase_ray.experiment.plan import Node, Plan
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.room import Classes, Resources
from erase_ray.experiment.schedule import Bound, expected, lower_bound
from erase_ray.experiment.walk import Walk

Seconds = Callable[[Node], float]
_TINY = 1e-6


@dataclass(frozen=True)
class Pace:
    """How fast things happen around the nodes; see ``benchmarks/planning.py`` for why.

    Args:
        startup_s: Until a new worker has loaded torch.
        reuse_s: Until a worker that was there begins with the next node.
        offer_s: Of the driver, for each node that it hands out; one after the other.
        losses_per_hour: How often each machine is taken away.
        boot_s: Until there is another in its place.
        journal_s: Of its work, a node has so much to do again after its machine was lost.
        ahead: Nodes handed out beyond what there is room for.
    """

    startup_s: float = 10.0
    reuse_s: float = 0.15
    offer_s: float = 0.0
    losses_per_hour: float = 0.0
    boot_s: float = 300.0
    journal_s: float = 60.0
    ahead: int = 1


@dataclass(frozen=True)
class Outcome:
    """What came of a simulated run.

    Args:
        makespan: Seconds until the last node was done.
        bound: What no order could beat.
        busy: Share of each resource that was in use, on average.
        tries: Nodes that were started, those started again among them.
        started: Workers that were started.
        lost: Tries that ended with their machine.
    """

    makespan: float
    bound: Bound
    busy: dict[str, float]
    tries: int
    started: int
    lost: int

    @property
    def ratio(self) -> float:
        """Makespan over what no order could beat."""
        return self.makespan / self.bound.seconds if self.bound.seconds else 1.0


Place = tuple[int, tuple[int, ...], Resources]
"""Machine, its GPUs, and how much is taken of them."""


class Machines:
    """What is free on each of a number of equal machines."""

    def __init__(self, number: int, cpus: int, gpus: int, memory: float) -> None:
        self.full = {"CPU": float(cpus), "memory": float(memory)}
        self.free = {name: np.full(number, amount) for name, amount in self.full.items()}
        self.gpu_NG = np.ones((number, gpus))
        self.is_up = np.ones(number, bool)

    @classmethod
    def of(cls, machine: Machine) -> "Machines":
        """The machines of a grid, all of them the same."""
        number = machine.count
        memory = machine.largest or np.inf
        return cls(number, machine.cpus // number, machine.gpus // number, memory)

    def place(self, bundles: list[Resources]) -> list[Place] | None:
        """Take room for all ``bundles``, each within one machine; None if there is none."""
        places: list[Place] = []
        for bundle in bundles:
            place = self._place(bundle)
            if place is None:
                self.leave(places)
                return None
            places.append(place)
        return places

    def leave(self, places: list[Place]) -> None:
        """Give back what :meth:`place` took."""
        for machine, gpus, bundle in places:
            for name, free_N in self.free.items():
                free_N[machine] += bundle.get(name, 0.0)
            for gpu in gpus:
                self.gpu_NG[machine, gpu] += min(1.0, bundle["GPU"])

    def _place(self, bundle: Resources) -> Place | None:
        share, whole = min(1.0, bundle.get("GPU", 0.0)), int(max(1, bundle.get("GPU", 0.0)))
        fits_N = self.is_up.copy()
        for name, free_N in self.free.items():
            fits_N &= free_N + _TINY >= bundle.get(name, 0.0)
        if share:
            fits_N &= (self.gpu_NG + _TINY >= share).sum(1) >= whole
            # least left over: on the GPUs first, since they are what is scarce
            rest_N = self.gpu_NG.sum(1) * 1e6 + self.free["CPU"]
        else:
            rest_N = self.free["CPU"]
        if not fits_N.any():
            return None
        machine = int(np.where(fits_N, rest_N, np.inf).argmin())
        gpus = self._gpus(machine, share, whole) if share else ()
        for name, free_N in self.free.items():
            free_N[machine] -= bundle.get(name, 0.0)
        for gpu in gpus:
            self.gpu_NG[machine, gpu] -= share
        return machine, gpus, bundle

    def _gpus(self, machine: int, share: float, whole: int) -> tuple[int, ...]:
        left_G = self.gpu_NG[machine]
        order = np.where(left_G + _TINY >= share, left_G, np.inf).argsort(kind="stable")
        return tuple(int(gpu) for gpu in order[:whole])


@dataclass(eq=False)
class _Try:
    node: Node
    bundles: list[Resources]
    places: list[Place] = field(default_factory=list)
    begun: float = 0.0

    @property
    def kind(self) -> Any:
        """What a worker has to have reserved to take it over."""
        return tuple(tuple(sorted(bundle.items())) for bundle in self.bundles)


class Simulation:
    """See the module; :meth:`run` goes through it.

    Args:
        plan: What to run.
        machine: On what; its ``count`` machines are equal.
        pace: How fast things happen around the nodes.
        seconds: What nodes really take; the plan knows its own estimates alone.
        seed: Of the moments at which machines are lost.
    """

    def __init__(
        self,
        plan: Plan,
        machine: Machine,
        pace: Pace | None = None,
        seconds: Seconds = expected,
        seed: int = 0,
    ) -> None:
        self.plan, self.pace, self.seconds = plan, pace or Pace(), seconds
        self.room = Classes(plan.pending(), machine)
        self.machines = Machines.of(machine)
        self.now = self.driver_free = 0.0
        self.queue = Dispatcher(Walk(plan), self.room, self.pace.ahead, lambda: self.now)
        self.waiting: list[_Try] = []
        self.running: dict[str, _Try] = {}
        self.left: dict[str, float] = {}
        self.counts: Counter[str] = Counter()
        self._work: defaultdict[str, float] = defaultdict(float)
        self._events: list[tuple[float, int, str, Any]] = []
        self._order = count()
        self._random = random.Random(seed)

    def run(self) -> Outcome:
        """Go through the plan.

        Raises:
            RuntimeError: Something that is left fits nowhere.
        """
        bound = lower_bound(self.plan, self.room, self.seconds)
        if self.pace.losses_per_hour:
            for machine in range(len(self.machines.is_up)):
                self._lose_later(machine)
        self._fill()
        while not self.queue.over:
            if not self._events:
                left = self.waiting[0].node.label if self.waiting else "what is left"
                raise RuntimeError(f"{left} fits on no machine")
            self.now, _, kind, what = heapq.heappop(self._events)
            getattr(self, f"_on_{kind}")(what)
        span = max(self.now, _TINY)
        total = self.room.total
        busy = {name: self._work[name] / span / total[name] for name in total if total[name]}
        return Outcome(
            self.now, bound, busy, self.counts["tries"], self.counts["new"], self.counts["lost"]
        )

    def _on_end(self, attempt: _Try) -> None:
        key = attempt.node.key
        if self.running.get(key) is not attempt:
            return  # its machine was lost
        self._stop(attempt)
        self.left.pop(key, None)
        self.queue.ended(key, {"status": "done"})
        self._offers()
        heir = next((one for one in self.waiting if one.kind == attempt.kind), None)
        if heir:
            self.waiting.remove(heir)
            heir.places = attempt.places
            self._start(heir, self.pace.reuse_s)
        else:
            self.machines.leave(attempt.places)
        self._fill()

    def _on_lose(self, machine: int) -> None:
        self.machines.is_up[machine] = False
        for attempt in list(self.running.values()):
            if any(place[0] == machine for place in attempt.places):
                self.counts["lost"] += 1
                done = max(0.0, self.now - attempt.begun - self.pace.journal_s)
                key = attempt.node.key
                self.left[key] = max(_TINY, self._seconds_left(attempt.node) - done)
                self._stop(attempt)
                self.machines.leave(attempt.places)
                self.queue.lost(key, NODE, "its machine was taken away")
        self._push(self.pace.boot_s, "boot", machine)
        self._fill()

    def _on_boot(self, machine: int) -> None:
        self.machines.is_up[machine] = True
        self._lose_later(machine)
        self._fill()

    def _lose_later(self, machine: int) -> None:
        self._push(self._random.expovariate(self.pace.losses_per_hour / 3600), "lose", machine)

    def _offers(self) -> None:
        while offer := self.queue.offer():
            node, _, bundles = offer
            if workers := self.room.workers(node):
                bundles = [*bundles, *[self.room.worker(node)] * workers]
            self.waiting.append(_Try(node, bundles))

    def _fill(self) -> None:
        self._offers()
        full: set[Any] = set()
        for attempt in list(self.waiting):
            if attempt.kind in full:
                continue
            places = self.machines.place(attempt.bundles)
            if places is None:
                full.add(attempt.kind)
                continue
            self.waiting.remove(attempt)
            attempt.places = places
            self.counts["new"] += 1
            self._start(attempt, self.pace.startup_s)
            self._offers()

    def _start(self, attempt: _Try, after: float) -> None:
        self.driver_free = max(self.driver_free, self.now) + self.pace.offer_s
        attempt.begun = self.driver_free + after
        self.counts["tries"] += 1
        self.queue.started(attempt.node.key)
        self.running[attempt.node.key] = attempt
        self._push(attempt.begun - self.now + self._seconds_left(attempt.node), "end", attempt)

    def _stop(self, attempt: _Try) -> None:
        del self.running[attempt.node.key]
        for name, amount in self.room.claims(attempt.node).items():
            self._work[name] += amount * max(0.0, self.now - attempt.begun)

    def _seconds_left(self, node: Node) -> float:
        return self.left.get(node.key) or self.seconds(node)

    def _push(self, after: float, kind: str, what: Any) -> None:
        heapq.heappush(self._events, (self.now + after, next(self._order), kind, what))
