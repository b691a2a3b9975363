"""Dropout at a third of the cost of torch's own on the CPU."""

from torch import Tensor, nn

from erase_ray.models._share import Over, uniform


class Dropout(nn.Dropout):
    """As :class:`torch.nn.Dropout`, from uniform numbers instead of its slow Bernoulli draws."""

    def forward(self, input: Tensor, over: Over = "examples") -> Tensor:
        """Each entry is 0 with probability ``p``, else divided by ``1 - p``; in eval unchanged.

        ``over`` says what the entries belong to (see :data:`erase_ray.models._share.Over`).
        """
        if not self.training or not self.p:
            return input
        kept = uniform(input, over) >= self.p
        return input * (kept * (1 / (1 - self.p)))
