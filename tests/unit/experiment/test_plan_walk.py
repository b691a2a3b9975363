from dataclasses import replace

from plan_toys import diamond, node

from erase_ray.experiment.plan import Plan
from erase_ray.experiment.refining import EVERY_S, Refining
from erase_ray.experiment.walk import Walk, Watcher, attempt, run_serial


class Diary(Watcher):
    def __init__(self):
        self.lines = []

    def begin(self, walk):
        self.lines.append("begin")

    def started(self, node):
        self.lines.append(f"started {node.key}")

    def finished(self, node, facts):
        self.lines.append(f"finished {node.key} {facts}")

    def failed(self, node, error, trace):
        self.lines.append(f"failed {node.key}: {error}")

    def end(self):
        self.lines.append("end")


def test_longest_remaining_path_first_and_only_after_the_parents():
    walk = Walk(diamond())
    assert walk.next().key == "data"
    assert walk.next() is None
    assert not walk.over
    walk.start("data")
    walk.finish("data", {})
    # 3 + 10 seconds hang on base, so it is before the 5 seconds of the cell that is alone
    assert walk.peek().key == "base"
    assert [walk.next().key, walk.next().key] == ["base", "alone"]
    assert walk.next() is None
    walk.finish("base", {})
    assert [walk.next().key, walk.next().key] == ["long", "short"]
    for key in ("alone", "short", "long"):
        assert not walk.over
        walk.finish(key, {})
    assert walk.over
    assert set(walk.done) == {"data", "base", "long", "short", "alone"}


def test_counts():
    walk = Walk(diamond(data=True))
    assert (walk.total, walk.left, len(walk.running)) == (4, 4, 0)
    walk.start(walk.next().key)
    assert (walk.total, walk.left, len(walk.running)) == (4, 3, 1)
    walk.fail("base", "ValueError: no")
    # base failed, long and short are blocked, alone is left
    assert (walk.left, len(walk.running), len(walk.blocked)) == (1, 0, 2)


def test_a_failure_blocks_what_needs_it_and_nothing_else():
    def execute(payload, storage):
        if payload["key"] == "base":
            raise ValueError("two\nlines")
        return {"at": storage}

    diary = Diary()
    walk = run_serial(diamond(), "somewhere", execute, [diary])
    assert walk.failures == {"base": "ValueError: two lines"}
    assert walk.blocked == {"long": "base", "short": "base"}
    assert walk.done == {"data": {"at": "somewhere"}, "alone": {"at": "somewhere"}}
    assert walk.over
    assert walk.left == 0
    assert diary.lines == [
        "begin",
        "started data",
        "finished data {'at': 'somewhere'}",
        "started base",
        "failed base: ValueError: two lines",
        "started alone",
        "finished alone {'at': 'somewhere'}",
        "end",
    ]


def test_a_node_with_two_failed_parents_is_blocked_once():
    plan = Plan([node("a"), node("b"), node("child", "a", "b"), node("grandchild", "child")])
    walk = Walk(plan)
    walk.next(), walk.next()
    walk.fail("a", "x")
    walk.fail("b", "y")
    assert walk.blocked == {"child": "a", "grandchild": "a"}
    assert walk.over


def test_a_blocked_node_is_not_handed_out_when_its_other_parent_is_done():
    plan = Plan([node("a"), node("b"), node("child", "a", "b")])
    walk = Walk(plan)
    walk.next(), walk.next()
    walk.fail("a", "x")
    walk.finish("b", {})
    assert walk.next() is None
    assert walk.over


def test_attempt_keeps_the_traceback():
    def execute(payload, storage):
        raise KeyError("gone")

    facts = attempt(execute, {}, "")
    assert facts["error"] == "KeyError: 'gone'"
    assert facts["trace"].startswith("Traceback")


def test_an_interrupt_is_not_a_failed_cell():
    diary = Diary()

    def execute(payload, storage):
        raise KeyboardInterrupt

    try:
        run_serial(diamond(), "", execute, [diary])
    except KeyboardInterrupt:
        diary.lines.append("out")
    assert diary.lines == ["begin", "started data", "end", "out"]


def test_what_is_ready_is_ordered_anew_by_what_was_learned():
    clock = Clock()
    nodes = [node("a", seconds=1), node("b", seconds=9), node("c", seconds=3)]
    plan = Plan(nodes)
    learner = Refining(Times({"b": 0.1, "c": 3.0}), clock)
    walk = Walk(plan, [learner])
    learner.begin(walk)
    assert walk.next().key == "b"
    walk.start("b")
    walk.finish("b", {"seconds": 0.1})
    clock.now += 2 * EVERY_S
    learner.tick()
    assert [walk.next().key, walk.next().key] == ["a", "c"]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Times:
    """Knows, once it has seen a node, that ``a`` takes a hundred times as long as was thought."""

    def __init__(self, expected):
        self.expected, self.seen = expected, []

    def observe(self, node, facts):
        self.seen.append(node.key)
        assert facts["seconds"] == self.expected[node.key]

    def estimate(self, node):
        assert self.seen
        return replace(node.cost, seconds=node.cost.seconds * (100 if node.key == "a" else 1))
