"""Checks that the tests of several models make in the same way."""

import torch

from erase_ray.tasks._batches import WindowBatch


def check_twice_differentiable(model, batch, weights=None):
    """First and second derivatives of the loss against differences, in float64.

    ``weights`` are parameters by name, all of them by default; the others stay as they are.
    """
    weights = dict(model.named_parameters()) if weights is None else weights
    model.forward = model.loss

    def loss(*values):
        named = dict(zip(weights, values, strict=True))
        return torch.func.functional_call(model, named, (batch,))

    values = tuple(weight.detach().clone().requires_grad_() for weight in weights.values())
    assert torch.autograd.gradcheck(loss, values)
    assert torch.autograd.gradgradcheck(loss, values)


def check_what_is_behind_means_nothing(model, batch):
    """Other items behind the lengths of three windows, of which the first has 2 and the last 1."""
    items_BL = batch.items_BL.clone()
    items_BL[0, 2:], items_BL[2, 1:] = 5, 3
    other = WindowBatch(items_BL, batch.length_B, batch.target_B)
    assert torch.equal(model.scores(other), model.scores(batch))
    grads = [
        torch.autograd.grad(model.loss(b).sum(), list(model.parameters())) for b in (batch, other)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def check_autocast_keeps_float32(model, batch, tolerance):
    """Under bfloat16 the loss is close and float32, and so are all gradients."""
    plain = model.loss(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.loss(batch)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, plain, **tolerance)
    loss.sum().backward()
    assert all(w.grad is not None and w.grad.dtype == torch.float32 for w in model.parameters())


def batch_norms(model, columns):
    """Lengths of the stacks of user, chosen and drawn vectors that a batch of pairs reads."""
    return [
        table.weight[ids].norm()
        for table, ids in [
            (model.user_embedding, columns.user_B),
            (model.item_embedding, columns.item_B),
            (model.item_embedding, columns.negative_B),
        ]
    ]
