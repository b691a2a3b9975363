import torch

from erase_ray.models._dropout import Dropout


def test_share_and_scale():
    torch.manual_seed(0)
    values = torch.full((1000, 100), 3.0)
    dropped = Dropout(0.25)(values)
    assert set(dropped.unique().tolist()) == {0.0, 4.0}
    assert abs((dropped == 0).float().mean().item() - 0.25) < 0.01


def test_gradient_flows_through_what_is_kept():
    values = torch.ones(50, requires_grad=True)
    dropped = Dropout(0.5)(values)
    dropped.sum().backward()
    assert torch.equal(values.grad, dropped.detach())


def test_nothing_is_dropped_in_eval_mode_or_at_zero():
    values = torch.randn(20)
    assert Dropout(0.5).eval()(values) is values
    assert Dropout(0.0)(values) is values
