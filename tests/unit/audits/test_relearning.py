"""Relearning, on models that lose one unit of loss a step."""

import math

from audit_toys import Fixed, audit, by_name, pairs


class Learners:
    """Subjects whose loss is their only weight, which every step lowers by one."""

    seed = 1
    marks = (1, 2, 4)

    def __init__(self, original: float, retrained: float, audited: float, num_forgotten: int = 3):
        self.weights = {"original": original, "retrained": retrained, "audited": audited}
        self.num_forgotten, self.asked, self.steps = num_forgotten, [], []

    def make(self, which):
        self.asked.append(which)
        return Fixed([[0.0]], self.weights[which])

    def original(self):
        return self.make("original")

    def retrained(self, mark):
        assert mark == 4
        return self.make("retrained")

    def audited(self, mark):
        assert mark == 4
        return self.make("audited")

    def forgotten(self, mark):
        assert mark == 4
        return pairs(self.num_forgotten, [0] * self.num_forgotten)

    def learn(self, model, examples, step):
        self.steps.append(step)
        assert len(examples) == self.num_forgotten
        before = model.weight.item()
        model.weight.data -= 1
        return before


def relearned(*weights: float, **settings) -> dict[str, float]:
    return by_name(audit("relearning", **settings).findings(Learners(*weights))[4])


def test_counts_steps_down_to_the_original_loss():
    """From 7 and 12 down to 2: 5 and 10 steps."""
    found = relearned(2.0, 12.0, 7.0, tolerance=0)
    assert found["steps"] == 5
    assert found["retrained_steps"] == 10
    assert found["ratio"] == 0.5
    assert found["reached"] == found["retrained_reached"] == 1


def test_tolerance_is_a_share_of_the_original_loss():
    """Down to 10 with 10 % more: 11; the loss before the second step is 10.9."""
    assert relearned(10.0, 20.0, 11.9)["steps"] == 1
    assert relearned(10.0, 20.0, 11.9, tolerance=0.2)["steps"] == 0


def test_what_was_never_forgotten_is_known_at_once():
    found = relearned(2.0, 12.0, 2.0)
    assert found["steps"] == found["ratio"] == 0


def test_the_retrained_model_has_a_ratio_of_one():
    assert relearned(2.0, 12.0, 12.0)["ratio"] == 1


def test_gives_up_and_says_so():
    found = relearned(2.0, 12.0, 100.0, max_steps=20)
    assert found["steps"] == 20
    assert found["reached"] == 0
    assert math.isnan(found["ratio"])
    found = relearned(2.0, 100.0, 12.0, max_steps=20)
    assert found["reached"] == 1
    assert found["retrained_reached"] == 0
    assert math.isnan(found["ratio"])


def test_the_last_step_that_is_allowed_counts():
    assert relearned(2.0, 12.0, 12.0, tolerance=0, max_steps=10)["reached"] == 1
    assert relearned(2.0, 12.0, 12.0, tolerance=0, max_steps=9)["reached"] == 0


def test_nothing_to_relearn_has_no_ratio():
    assert math.isnan(relearned(2.0, 1.0, 5.0)["ratio"])


def test_each_model_begins_at_step_0_and_the_original_takes_no_more():
    learners = Learners(5.0, 7.0, 6.0)
    audit("relearning", tolerance=0).findings(learners)
    assert learners.steps == [0, 0, 1, 0, 1, 2]
    assert learners.asked == ["original", "audited", "retrained"]


def test_without_examples_nothing_is_told():
    assert audit("relearning").findings(Learners(1.0, 2.0, 2.0, num_forgotten=0)) == {4: []}


def test_baselines_learn_nothing(monkeypatch):
    monkeypatch.setattr(Fixed, "learns", False)
    learners = Learners(1.0, 2.0, 2.0)
    assert audit("relearning").findings(learners) == {4: []}
    assert not learners.steps
