"""An audit that only keeps what it is given."""

from erase_ray.audits import AUDITS, Finding, ObservationAudit, Observations


@AUDITS.register
class Kept(ObservationAudit):
    seen: list[Observations] = []

    def findings(self, observations):
        self.seen.append(observations)
        return [Finding("requests", float(len(set(observations.request_N))), 1, "requests")]
