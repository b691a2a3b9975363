"""How far apart what two models say is."""

import math

import torch
from torch import Tensor


def kl(log_p_BI: Tensor, log_q_BI: Tensor) -> Tensor:
    """Kullback-Leibler divergence of q from p in nats, shape ``(B,)``.

    What has no probability under p adds nothing; infinite where q rules out what p does not.

    Args:
        log_p_BI: Log-probabilities, shape ``(B, I)``.
        log_q_BI: The same.
    """
    p_BI = log_p_BI.exp()
    apart_BI = (log_p_BI - log_q_BI).masked_fill_(p_BI == 0, 0)
    return torch.linalg.vecdot(p_BI, apart_BI)


def js(log_p_BI: Tensor, log_q_BI: Tensor) -> Tensor:
    """Jensen-Shannon divergence in nats, 0 to log 2, shape ``(B,)``."""
    log_mean_BI = torch.logaddexp(log_p_BI, log_q_BI) - math.log(2)
    return (kl(log_p_BI, log_mean_BI) + kl(log_q_BI, log_mean_BI)) / 2
