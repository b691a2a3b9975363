"""What methods share that hide the rest of the forgotten data under noise."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from erase_ray.methods._base import Outcome
from erase_ray.methods._curvature import Weighted, gradient_sum, smooth, weighted_batches
from erase_ray.methods._gaussian import add_noise, epsilon_of, sigma_for, squares
from erase_ray.methods._graph_influence import GraphInfluenceMethod
from erase_ray.methods._graph_term import MAX_NEIGHBOURS
from erase_ray.methods._influence import InfluenceSettings, Job
from erase_ray.methods._request import Request
from erase_ray.methods._subspace import subspace
from erase_ray.models import Model
from erase_ray.tasks import Examples

NOT_MEASURED = "{:g} s were over while the gradient of what is left was measured"


class CertifiedSettings(InfluenceSettings):
    """Settings that these methods share."""

    noise: Literal["budget", "certified", "none"] = "budget"
    """``budget``: always the same noise, and ε is what it certifies; ``certified``: the noise that
    ``epsilon`` needs, however large; ``none``."""
    noise_scale: float = Field(default=0.01, gt=0)
    """Standard deviation of the noise for ``budget``, in root mean squares of the weights of the
    base model."""
    epsilon: float = Field(default=1.0, gt=0, le=1)
    """ε of a request for ``certified``."""
    delta: float = Field(default=1e-5, gt=0, lt=1)
    """δ of a request and of the whole chain."""
    convex: bool = False
    """Declare that the loss of every example is convex in all weights that change. False for all
    models of the benchmark; the outcome then says that nothing is certified."""
    strong_convexity: float = Field(default=0.0, ge=0)
    """Strong convexity of the loss of each example, as far as it is known."""
    max_neighbours: int = Field(default=MAX_NEIGHBOURS, ge=0)
    """Most examples of others for what lost edges do to them; 0 leaves them out."""


@dataclass(frozen=True)
class Bound:
    """How far the weights are at most from the optimum without the forgotten data.

    Args:
        zeta: The Euclidean distance.
        holds: Whether it is a bound if the loss is as declared; an estimate otherwise.
        num_gradients: Gradients of mini-batches it took.
        memory: What the next request needs to know.
    """

    zeta: float
    holds: bool
    num_gradients: int = 0
    memory: dict[str, Tensor] = field(default_factory=dict)


class CertifiedMethod(GraphInfluenceMethod):
    """A damped Newton step on all weights, then Gaussian noise; not registered itself.

    The objective whose optimum is the yardstick is the sum of the losses of what is left plus
    (Λ/2)‖θ‖², Λ being ``damping``: the step is Newton's on it. With n examples left it is
    M-strongly convex if the losses are convex, M = ``strong_convexity``·n + Λ, and ζ follows from
    that.

    The noise is that of the last request alone. Before a request is served the noise of the one
    before is drawn again and taken off, so the chain goes on from weights that were never blurred
    (the secret state of Neel, Roth and Sharifi-Malvajerdi: "Descent-to-Delete", ALT 2021), and the
    noise does not add up. The price: ``epsilon`` is promised to whoever sees the published
    weights, not the chain's state or its seed. Who sees the model after every request faces
    ``epsilon_total`` at the same δ.

    Details: ``sigma``, ``zeta``, ``delta``, ``delta_total``, ``certified`` (1 if ζ is a bound,
    given what was declared of the loss; then ε is a guarantee; 0: ε is what the noise would
    certify if ζ were one), ``certified_total`` (1 if that was so for all requests so far),
    ``epsilon`` and ``epsilon_total`` (left out where they are infinite: without noise).
    """

    class Settings(CertifiedSettings):
        """Settings of the method."""

    @abstractmethod
    def bound(self, model: Model, request: Request, details: dict[str, float]) -> Bound | None:
        """ζ after the step, which ``model`` has taken already; None if the deadline passed."""

    def finish(self, job: Job, step: Tensor) -> None:
        """Note how far the weights moved."""
        job.details["moved"] = float(step.norm())

    def forget(self, model: Model, request: Request) -> Outcome:
        """Take the step and renew the noise, in place."""
        if not len(request.forget):
            return super().forget(model, request)
        weights = list(self.changes(model).values())
        if self.settings.noise != "none":
            for weight in weights:
                request.undo.keep(weight)
            _uncover(weights, request)
        usual = self._usual_sigma(weights, request)
        outcome = super().forget(model, request)
        bound = None
        if outcome.status == "applied":
            bound = self.bound(model, request, outcome.details)
            if bound is None:
                reason = NOT_MEASURED.format(request.deadline.limit_s)
                outcome = replace(outcome, status="timed_out", reason=reason)
        if bound is None:
            request.undo.restore()
            return outcome
        sigma = self._sigma(bound.zeta, usual)
        details = outcome.details | self._publish(weights, request, bound, sigma)
        num_gradients = outcome.num_gradients + bound.num_gradients
        return replace(outcome, num_gradients=num_gradients, details=details)

    def convexity(self, num_left: int) -> float:
        """M of the objective with so many examples."""
        return self.settings.strong_convexity * num_left + self.settings.damping

    def _usual_sigma(self, weights: list[nn.Parameter], request: Request) -> float:
        """The standard deviation of ``budget``, that of the first request for all of them."""
        if self.settings.noise != "budget":
            return 0.0
        if "sigma" in request.state:
            return float(request.state["sigma"])
        num_weights = sum(weight.numel() for weight in weights)
        return self.settings.noise_scale * math.sqrt(squares(weights) / num_weights)

    def _sigma(self, zeta: float, usual: float) -> float:
        if self.settings.noise == "certified":
            return sigma_for(zeta, self.settings.epsilon, self.settings.delta)
        return usual

    def _publish(
        self, weights: list[nn.Parameter], request: Request, bound: Bound, sigma: float
    ) -> dict[str, float]:
        state, delta = request.state, self.settings.delta
        if sigma:
            add_noise(weights, sigma, request.seed)
        mu = bound.zeta / sigma if sigma else math.inf
        spent = float(state.get("spent", 0.0)) + mu * mu
        certified = bound.holds and self.settings.convex and math.isfinite(mu)
        all_certified = certified and bool(state.get("certified", True))
        state |= bound.memory | {
            "sigma": torch.tensor(sigma, dtype=torch.float64),
            "noise_seed": torch.tensor(request.seed),
            "spent": torch.tensor(spent, dtype=torch.float64),
            "certified": torch.tensor(all_certified),
        }
        details = {
            "sigma": sigma,
            "zeta": bound.zeta,
            "delta": delta,
            "delta_total": delta,
            "epsilon": epsilon_of(mu, delta),
            "epsilon_total": epsilon_of(math.sqrt(spent), delta),
            "certified": float(certified),
            "certified_total": float(all_certified),
        }
        return {name: value for name, value in details.items() if math.isfinite(value)}


def _uncover(weights: list[nn.Parameter], request: Request) -> None:
    """Take off the noise of the request before."""
    sigma = float(request.state.get("sigma", 0.0))
    if sigma:
        add_noise(weights, -sigma, int(request.state["noise_seed"]))


def norm_on_sample(
    model: Model, parameters: dict[str, nn.Parameter], batches: list[Weighted], damping: float
) -> float:
    """‖Σ w ∇ℓ + Λθ‖ over some batches, in the rows they read and, for Λθ, everywhere."""
    known = [one.batch for one in batches]
    with smooth(model), subspace(model, parameters, known) as space:
        gradient = gradient_sum(model, space.leaves, batches)
        theta = torch.cat([leaf.detach().flatten() for leaf in space.leaves])
        inside = squares([gradient + damping * theta])
        outside = max(squares(parameters.values()) - squares([theta]), 0.0)
    return math.sqrt(inside + damping**2 * outside)


def norm_on_all(
    model: Model,
    parameters: dict[str, nn.Parameter],
    examples: Examples,
    settings: CertifiedSettings,
    seed: int,
    give_up: Callable[[], bool] = lambda: False,
) -> tuple[float, int] | None:
    """‖Σ ∇ℓ + Λθ‖ over all ``examples``, and how many mini-batches that took.

    Args:
        model: With the graph that is meant.
        parameters: What to differentiate with respect to.
        examples: Each counts once.
        settings: Batches, draws of negatives, and Λ.
        seed: Root of the draws.
        give_up: Asked before each mini-batch; True ends it all with None.
    """
    leaves = list(parameters.values())
    total = torch.cat([weight.detach().flatten() for weight in leaves]) * settings.damping
    num_batches = 0
    with smooth(model):
        for index in torch.arange(len(examples), device=total.device).split(settings.batch_size):
            if give_up():
                return None
            part, size = examples.take(index), settings.batch_size
            batches = weighted_batches(part, 1.0, size, seed, settings.num_negatives)
            total += gradient_sum(model, leaves, batches)
            num_batches += len(batches)
    return math.sqrt(squares([total])), num_batches
