"""The published SCIF's solver: conjugate gradient with the Hessian of another mini-batch a step.

It walks over the clean examples and then over the retain sample. In the first walk the same step
is repeated for every sixteenth part of a mini-batch while its length ρ and direction p stay those
of before: without curvature m repeats turn the residual r into (1 − m) r and add m times the
solution. In the second walk a residual that is small enough leaves p and ρ as they are, and the
next mini-batch steps along them once more. A mini-batch without curvature along p is passed over.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from erase_ray.reference._products import BatchHessian
from erase_ray.reference._work import Work

SIZE = 16
FLAT = 1e-10
SMALL = 1e-5
QUOTA = 1024


@dataclass(eq=False)
class StaleCg:
    """The state of the solver for ``(H + λI) x = v``.

    Args:
        work: The request.
        v_P: Right-hand side, shape ``(P,)``.
        damping: λ.
    """

    work: Work
    v_P: Tensor
    damping: float
    num_steps: int = 0

    def __post_init__(self) -> None:
        self.x_P = torch.zeros_like(self.v_P)
        self._r_P, self._p_P = self.v_P.clone(), self.v_P.clone()
        self._rho = self._square()
        view = self.work.view
        self._quota = QUOTA * max(1, view.num_own - view.num_clean)
        self._seen = 0

    def run(self) -> Tensor:
        """Both walks; x as it is when they end or are stopped."""
        if self._first():
            self._second()
        return self.x_P

    def _first(self) -> bool:
        """Repeated steps on the clean examples; False if all stops here."""
        loader = self.work.loader(self.work.view.clean, "clean hessian")
        for index in loader.walk():
            for _ in range(math.ceil(len(index) / SIZE)):
                index = index[: max(self._quota - self._seen, 0)]
                end = self._step(loader.batch(index)) if len(index) else "stop"
                if end == "stop":
                    return False
                if end == "skip":
                    break
            if not self._refresh():
                break
        return True

    def _second(self) -> None:
        """One step for each mini-batch of the retain sample."""
        loader = self.work.loader(self.work.view.retain, "retain hessian", SIZE)
        for index in loader.walk():
            index = index[: max(self._quota - self._seen, 0)]
            end = self._step(loader.batch(index)) if len(index) else "stop"
            if end == "stop":
                return
            if end != "skip":
                self._refresh()

    def _step(self, batch: Any) -> str:
        """Along p with the Hessian of ``batch``; ``""``, ``skip`` if it is flat, or ``stop``."""
        self._seen += len(batch)
        product_P = BatchHessian(self.work, batch, 1 / len(batch))(self._p_P)
        if not bool(torch.isfinite(product_P).all()):
            return "stop"
        q_P = product_P + self.damping * self._p_P
        s = float(self._p_P @ q_P)
        if not math.isfinite(s) or abs(s) < FLAT:
            return "skip"
        if s < 0:
            return "stop"
        a = self._rho / s
        self.x_P = self.x_P + a * self._p_P
        self._r_P = self._r_P - a * q_P
        self.num_steps += 1
        return ""

    def _refresh(self) -> bool:
        """The next direction; False, and nothing is refreshed, if the residual is small."""
        rho = self._square()
        if math.sqrt(rho) < SMALL:
            return False
        self._p_P = self._r_P + rho / self._rho * self._p_P if self._rho else self._r_P
        self._rho = rho
        return True

    def _square(self) -> float:
        return float(self._r_P @ self._r_P)
