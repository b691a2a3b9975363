"""Second derivatives of the real models, in double precision, against differences of gradients."""

import pytest
import torch

from erase_ray.methods._curvature import (
    Curvature,
    gradient_sum,
    smooth,
    weighted_batches,
)
from erase_ray.methods._subspace import Subspace
from tests.conftest import LEARNING

pytestmark = pytest.mark.parametrize("model_name", LEARNING, indirect=True)
STEP = 1e-7  # short enough that no rectifier passes its kink on the way


def test_product_is_the_difference_of_gradients(model, examples):
    model.double()
    batches = weighted_batches(examples.take(torch.arange(0, 40, 2)), 0.5, 8, seed=3)
    for weights in (model.head_parameters(), dict(model.named_parameters())):
        parameters = list(weights.values())
        size = sum(weight.numel() for weight in parameters)
        space = Subspace(weights, {})
        vector = torch.randn(size, generator=torch.Generator().manual_seed(1)).double()
        with smooth(model):
            product = Curvature(model, parameters, batches, 1e9)(vector)
            gradients = []
            for step in (STEP, -2 * STEP):
                space.add(vector, step)
                gradients.append(gradient_sum(model, parameters, batches))
            space.add(vector, STEP)
        difference = (gradients[0] - gradients[1]) / (2 * STEP)
        error = (product - difference).norm() / difference.norm()
        assert difference.norm() > 0
        assert error < 1e-6
