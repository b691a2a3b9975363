"""What the members of a team tell each other, and what is done with it."""

import functools
import logging
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist

from erase_ray.errors import TrainingError
from erase_ray.models import _sums
from erase_ray.models._adam import BETAS, EPS, BlockAdam
from erase_ray.models._block_table import BlockTable
from erase_ray.models._narrow import RowTable
from erase_ray.models._packing import Packing
from erase_ray.models._sharded import Shard
from erase_ray.models._share import (
    Share,
    batch_count,
    batch_longest,
    batch_size,
    batch_sum,
    sharing,
)
from erase_ray.models._sums import Sums
from erase_ray.portions import keep_together, portions
from erase_ray.tasks import TASKS, Cut
from erase_ray.team import Team
from erase_ray.training import train
from tests.conftest import CPU, make_model, planted
from tests.unit.team_runs import Job, in_team

BLOCKS = ([0, 2], [1, 2, 3], [2, 3])
READ = ([5, 900], [900, 900, 7], [1])


@pytest.fixture
def solo():
    """This process as a team of its own."""
    store, limit = dist.HashStore(), timedelta(seconds=30)
    dist.init_process_group("gloo", store=store, rank=0, world_size=1, timeout=limit)
    yield Team.current()
    dist.destroy_process_group()


def told(team):
    """Operations of which the right answer is known."""
    rank = team.rank
    big = torch.full((3, 2), 1.0 + rank)
    small, whole = torch.tensor(2.0**rank), torch.tensor([rank], dtype=torch.int64)
    team.add([big, small, whole, big.T[:1]])
    followed = [torch.full((2, 2), float(rank)).T, torch.tensor(rank)]
    team.follow(followed)
    rows = torch.arange(rank)[:, None] + 10 * rank
    sent = [[0, 1, 2], [1, 1, 1], [2, 0, 0]]
    letters = torch.tensor([10 * rank + to for to in range(3) for _ in range(sent[rank][to])])
    received = [sent[other][rank] for other in range(3)]
    with pytest.raises(TrainingError) as error:
        team.check_same([rank // 2], "halves")
    team.check_same([7], "seven")
    return {
        "added": (big.tolist(), small.item(), whole.tolist()),
        "followed": [value.tolist() for value in followed],
        "gathered": team.gather(rows).tolist(),
        "exchanged": team.exchange(letters, sent[rank], received).tolist(),
        "any": (team.any(rank == 2), team.any(False)),
        "collected": team.collect(rows, [0, 1, 2]).flatten().tolist(),
        "text": str(error.value),
    }


def summed(team):
    """Gradients of tables of which each member read something else."""
    _sums.FEWEST_ENTRIES = 1000
    table, small, other = RowTable(1000, 2), RowTable(20, 2), torch.nn.Linear(2, 1)
    torch.nn.init.ones_(other.weight)
    model = torch.nn.ModuleList([table, small, other])
    sums = Sums(model, list(model.parameters()), team)
    sums.listen()
    read = table(torch.tensor(READ[team.rank]))
    (other(read).sum() + small(torch.tensor([team.rank])).sum() + read.sum()).backward()
    sums.combine()
    before = table(torch.tensor([3]))  # not noted any more
    assert before is not None
    return [weight.grad.clone() for weight in model.parameters()]


def moved(team, blocks):
    """A table after two steps in which each member read its own block."""
    table = BlockTable(5).double()
    table.weight.data.copy_(torch.arange(25.0).view(5, 5))
    adam = BlockAdam(table, 0.1, 0.01, BETAS, EPS, team)
    for _ in range(2):
        adam.zero_grad()
        loss = sum(table.block(torch.tensor(items)).square().sum() for items in blocks)
        loss.backward()
        adam.step()
    adam.close()
    return table.weight.detach()


def fetched(team):
    """Rows, gradients and products of a table that is shared out, and the table again."""
    table = RowTable(7, 2).double()
    table.weight.data.copy_(torch.arange(14.0).view(7, 2))
    shard = Shard(table.weight, team)
    rows = table(torch.tensor([6, 0, 6]))
    rows.backward(torch.full((3, 2), 1.0 + team.rank))
    with torch.no_grad():
        again = table(torch.tensor([[1], [team.rank]]))
    shard.collect()
    shard.collect()  # nothing is left to add
    found = {
        "rows": rows.tolist(),
        "again": again.tolist(),
        "held": table.weight.tolist(),
        "grad": table.weight.grad.tolist(),
        "products": shard.products(torch.tensor([[1.0, 0], [0, 1]]).double()).tolist(),
    }
    shard.end()
    return found | {"whole": table.weight.tolist(), "shard": hasattr(table.weight, "shard")}


def healed(team):
    """Weights and moments of members that rounded differently."""
    model = make_model("bpr", planted("cf"))
    keep_together(model, [], team, 3)
    logs: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: logs.append(record.getMessage())
    logging.getLogger("erase_ray.portions").addHandler(handler)
    moments = [torch.full((2,), float(team.rank))]
    with torch.no_grad():
        model.item_embedding.weight[3, 1] += 1e-6 * team.rank
    keep_together(model, moments, team, 4)
    return model.item_embedding.weight.detach(), moments[0].tolist(), logs


def everything(team):
    found = {name: work(team) for name, work in WORKS.items()}
    return found | {"moved": moved(team, [BLOCKS[team.rank]])}


WORKS = {"told": told, "summed": summed, "fetched": fetched, "healed": healed}


@functools.cache
def members(folder):
    return in_team(3, everything, folder)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """What three members found."""
    return members(tmp_path_factory.mktemp("three"))


def test_what_members_tell_each_other(three):
    for rank, member in enumerate(three):
        found = member["told"]
        # the last tensor is a view of the first, which was a sum by then: 6, three times
        assert found["added"] == ([[18, 6]] * 3, 7, [3])
        assert found["followed"] == [[[0, 0], [0, 0]], 0]
        assert found["gathered"] == [[10], [20], [21]]
        assert found["exchanged"] == [[10, 20, 20], [1, 11], [2, 2, 12]][rank]
        assert found["any"] == (True, False)
        assert found["collected"] == (
            [10, 20, 21] if not rank else [10 * rank + i for i in range(rank)]
        )
        assert found["text"] == "the 3 workers do not agree on halves: [[0], [0], [1]]"


def test_gradients_of_rows_that_were_read_are_added_up(three):
    table, small, weight, bias = three[0]["summed"]
    for member in three[1:]:
        assert all(map(torch.equal, member["summed"], three[0]["summed"]))
    times = torch.zeros(1000)
    times[[5, 900, 7, 1]] = torch.tensor([1.0, 3, 1, 1])
    assert torch.equal(small, (torch.arange(20) < 3).float()[:, None].expand(20, 2))
    assert bias.tolist() == [6]  # rows read, by three members
    assert weight.tolist() == [[0, 0]]
    assert torch.equal(table, 2 * times[:, None].expand(1000, 2))


def test_blocks_that_any_member_read_move_everywhere_the_same(three):
    one = moved(None, BLOCKS)
    start = torch.arange(25.0).view(5, 5).double()
    for member in three:
        torch.testing.assert_close(member["moved"], one, rtol=0, atol=1e-12)
        assert torch.equal(member["moved"], three[0]["moved"])
    assert bool((one != start)[2].tolist() == [True, True, True, True, False])


def test_rows_come_from_and_go_back_to_where_they_lie(three):
    held = [[0, 1], [2, 3], [4, 5]]
    table = torch.arange(14.0).view(7, 2)
    bounds = [0, 2, 4, 7]
    for rank, member in enumerate(three):
        found = member["fetched"]
        own = slice(bounds[rank], bounds[rank + 1])
        assert found["rows"] == [[12, 13], [0, 1], [12, 13]]
        assert found["again"] == [[[2, 3]], [held[rank]]]
        assert found["held"] == table[own].tolist()
        grad = torch.zeros(7, 2)
        grad[0], grad[6] = 6, 12  # members give 1, 2, 3, and twice that
        assert found["grad"] == grad[own].tolist()
        assert found["products"] == table.T.tolist()
        assert found["whole"] == (table if not rank else table[own]).tolist()
        assert not found["shard"]


def test_members_that_round_differently_go_on_from_the_first(three):
    lead = three[0]["healed"][0]
    for weight, moment, logs in (member["healed"] for member in three):
        assert torch.equal(weight, lead)
        assert moment == [0, 0]
        assert logs == ["workers round differently: after epoch 4 all go on from worker 0"]


def test_no_group_is_no_team():
    assert Team.current() is None


def test_a_team_of_one_is_the_process_itself(solo):
    job = Job("sasrec", double=False)
    one, team = job.run(None), job.run(solo)
    assert team["curves"][3] == pytest.approx(one["curves"][3], rel=1e-5)
    assert [call[0] for call in team["told"]] == [0, 1]


def test_rows_cannot_be_shared_out_by_one_process():
    data, model = planted("cf"), make_model("bpr", planted("cf"))
    task, settings = TASKS.get("cf")(), Job("bpr").settings()
    arguments = (model, task, data.interactions, data.split, settings, 3, CPU)
    with pytest.raises(TrainingError, match="shard_tables needs several workers to share"):
        train(*arguments, shard_tables=True)


@pytest.mark.parametrize("size", [3, 5])
def test_parts_are_contiguous_and_cover_every_batch(size):
    data = planted("session_based")
    examples = TASKS.get(data.task)().examples(data.interactions, data.split, Cut(9, CPU))
    examples = examples.take(torch.arange(25))
    order = torch.randperm(25, generator=torch.Generator().manual_seed(1))
    teams = [Team(rank, 4) for rank in range(4)]
    steps = list(zip(*(portions(examples, order, size, 0, team) for team in teams), strict=True))
    assert len(steps) == -(-25 // size)
    for parts, index in zip(steps, order.split(size), strict=True):
        whole = examples.batch(index, 0).target_B.tolist()
        targets = [part.batch.target_B.tolist() for part in parts]
        if len(index) < 4:
            assert targets == [whole] * 4
            assert [part.share for part in parts] == [None] * 4
            assert parts[0].weight == pytest.approx(1 / (4 * len(index)))
        else:
            assert [target for own in targets for target in own] == whole
            assert all(part.weight == 1 / len(index) for part in parts)
            assert torch.equal(parts[0].share.length_B, examples.lengths[index])


def test_what_is_drawn_is_the_own_part_of_what_is_drawn_for_the_batch():
    length_B = torch.tensor([2, 1, 3, 1])
    share = Share(Team(1, 2), range(1, 3), 4, length_B)

    def drawn(shape, over=None):
        torch.manual_seed(5)
        return share.uniform(torch.empty(shape), over) if over else torch.rand(shape)

    assert torch.equal(drawn((2, 6), "examples"), drawn((4, 6))[1:3])
    assert torch.equal(drawn((4, 6), "steps"), drawn((7, 6))[2:6])
    assert torch.equal(drawn((6, 3, 3), "pairs"), drawn((12, 3, 3))[3:9])
    assert torch.equal(drawn((6, 1, 3), "keys"), drawn((12, 1, 3))[3:9])
    # by step, the longest first: windows 2 0 1 3, 2 0, 2; here windows 2 1, 2, 2
    assert Packing.of(length_B).sequence_N.tolist() == [2, 0, 1, 3, 2, 0, 2]
    assert torch.equal(drawn((4, 6), "packed"), drawn((7, 6))[[0, 2, 4, 6]])
    last = Share(Team(1, 2), range(3, 4), 4, length_B)
    torch.manual_seed(5)
    narrow = last.uniform(torch.empty(1, 1, 1), "pairs")
    assert torch.equal(narrow, drawn((4, 3, 3))[3:, :1, :1])


def test_without_a_share_a_batch_is_a_whole(solo):
    values = torch.tensor([2.0], requires_grad=True)
    with sharing(None):
        assert batch_sum(values) is values
        assert (batch_count(3), batch_size(4), batch_longest(5)) == (3, 4, 5)
    with sharing(Share(solo, range(0, 2), 9, torch.tensor([4, 8]))):
        assert (batch_count(3), batch_size(4), batch_longest(5)) == (3, 9, 8)
        (batch_sum(values) * 3).sum().backward()
    assert values.grad.tolist() == [3]
