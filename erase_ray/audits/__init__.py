"""Audits of unlearned models, one file each."""

from erase_ray.audits._base import (
    AUDITS,
    Audit,
    Finding,
    ModelAudit,
    ObservationAudit,
    Observations,
    Subjects,
)

__all__ = [
    "AUDITS",
    "Audit",
    "Finding",
    "ModelAudit",
    "ObservationAudit",
    "Observations",
    "Subjects",
]
