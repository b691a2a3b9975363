"""How fast a model learns again what it was made to forget."""

import math
from dataclasses import dataclass

from pydantic import Field

from erase_ray import pulse
from erase_ray.audits._base import AUDITS, Finding, ModelAudit, Subjects
from erase_ray.models import Model
from erase_ray.settings import Frozen
from erase_ray.tasks import Examples


@AUDITS.register
class Relearning(ModelAudit):
    """Steps of training on the forgotten examples until the model knows them as the original did.

    Paper: Chundawat et al., "Zero-Shot Machine Unlearning", IEEE TIFS 2023: relearn time and, as
    the ratio, the Anamnesis Index.
    Differs from it: the loss stands for the accuracy, and a step sees all forgotten examples, so
    that what is counted does not depend on how many they are.
    Looks at: the last mark.
    """

    class Settings(Frozen):
        """Settings of `Relearning`."""

        tolerance: float = Field(default=0.1, ge=0)
        """How much higher than the original's the loss may be, as a share of it."""
        max_steps: int = Field(default=500, ge=1)
        """Give up after so many steps."""

    def findings(self, subjects: Subjects) -> dict[int, list[Finding]]:
        """Steps, and their ratio to those of the retrained model; none where nothing is learned.

        ``ratio`` is NaN where either model gave up, or the retrained one has nothing to learn.
        """
        mark = max(subjects.marks)
        examples = subjects.forgotten(mark)
        original = subjects.original()
        if not len(examples) or not original.learns:
            return {mark: []}
        goal = subjects.learn(original, examples, 0) * (1 + self.settings.tolerance)
        del original
        course = _Course(subjects, examples, goal, self.settings.max_steps)
        audited = course.run(subjects.audited(mark))
        retrained = course.run(subjects.retrained(mark))
        return {mark: _told(audited, retrained)}


@dataclass(frozen=True)
class _Relearned:
    steps: int
    reached: bool


@dataclass(frozen=True, eq=False)
class _Course:
    subjects: Subjects
    examples: Examples
    goal: float
    max_steps: int

    def run(self, model: Model) -> _Relearned:
        """Train until the loss before a step is down to the goal."""
        for step in range(self.max_steps + 1):
            pulse.beat()
            if self.subjects.learn(model, self.examples, step) <= self.goal:
                return _Relearned(step, reached=True)
        return _Relearned(self.max_steps, reached=False)


def _told(audited: _Relearned, retrained: _Relearned) -> list[Finding]:
    is_known = audited.reached and retrained.reached and retrained.steps > 0
    ratio = audited.steps / retrained.steps if is_known else math.nan
    return [
        Finding("steps", float(audited.steps), audited.steps, "steps", "up"),
        Finding("reached", float(audited.reached), audited.steps, "flag", "up"),
        Finding("retrained_steps", float(retrained.steps), retrained.steps, "steps", "up"),
        Finding("retrained_reached", float(retrained.reached), retrained.steps, "flag", "up"),
        Finding("ratio", ratio, audited.steps, "ratio", "up"),
    ]
