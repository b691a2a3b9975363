"""Influence methods that know what lost edges do to the examples that stay."""

from torch import Tensor

from erase_ray.methods._curvature import gradient_sum
from erase_ray.methods._graph_term import GraphTerm, graph_batches, graph_term, without_edges
from erase_ray.methods._influence import InfluenceMethod, Job
from erase_ray.methods._solve import Solve


class GraphInfluenceMethod(InfluenceMethod):
    """Adds Σ (∇ℓ(G) − ∇ℓ(G′)) of who stays, and solves on G′, the graph without the edges.

    Settings have ``max_neighbours``. Models without edges have neither graph nor term.
    """

    def right_hand_side(self, job: Job) -> Tensor:
        """Gradients of what goes, less those of what comes, and the graph's term."""
        leaves = job.space.leaves
        rhs = gradient_sum(job.model, leaves, [one for one in job.removed if one.weight > 0])
        with without_edges(job.model, job.request):
            rhs += gradient_sum(job.model, leaves, [one for one in job.removed if one.weight < 0])
        job.num_gradients += len(job.removed)
        return rhs + self.graph_term(job).gradient if job.model.has_edges else rhs

    def solve(self, job: Job, rhs: Tensor) -> tuple[Tensor, Solve]:
        """The solution on the graph without the edges, and how the solver ended."""
        with without_edges(job.model, job.request):
            return self.solve_on_rest(job, rhs)

    def solve_on_rest(self, job: Job, rhs: Tensor) -> tuple[Tensor, Solve]:
        """The same; the edges are gone already."""
        return super().solve(job, rhs)

    def graph_term(self, job: Job) -> GraphTerm:
        """What the edges change for others; only asked of models that have edges."""
        most, draws = self.settings.max_neighbours, self.settings.num_negatives
        batches = graph_batches(job.model, job.request, most, draws)
        term = graph_term(job.model, job.space.leaves, job.request, batches)
        job.num_gradients += term.num_gradients
        return term
