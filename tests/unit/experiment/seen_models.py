"""An audit that looks at how far models are from each other, and at what they learn."""

import torch

from erase_ray.audits import AUDITS, Finding, ModelAudit


def distance(one, other) -> float:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return float(sum((a.double() - b.double()).square().sum() for a, b in pairs))


@AUDITS.register
class Looked(ModelAudit):
    marks = (2, 4)

    def findings(self, subjects):
        found = {}
        for mark in subjects.marks:
            original, retrained = subjects.original(), subjects.retrained(mark)
            audited, forgotten = subjects.audited(mark), subjects.forgotten(mark)
            losses = [subjects.learn(audited, forgotten, step) for step in range(5)]
            found[mark] = [
                Finding("to_original", distance(subjects.audited(mark), original), 1),
                Finding("to_retrained", distance(subjects.audited(mark), retrained), 1),
                Finding("forgotten", float(len(forgotten)), 1, "examples"),
                Finding("learned", losses[0] - losses[-1], 5, "nats", "up"),
                Finding("probed", float(len(subjects.queries(mark)["probe"])), 1, "people"),
            ]
            assert all(torch.isfinite(torch.tensor(losses)))
        return found
