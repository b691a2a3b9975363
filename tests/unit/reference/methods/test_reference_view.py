import numpy as np
import pytest
import torch
from reference_toys import ask, baskets, build, drawn, lists, seen, small_case, world_of

from erase_ray.reference._loader import Loader
from erase_ray.reference._view import PLACE, look


def case(rows, table=None, **options):
    table = drawn(length=10) if table is None else table
    model = build("bpr", table)
    return ask(world_of(model, table), rows, **options)


def test_everything_is_split_anew():
    """Of 10 rows 8 are for training; of the 8 that are left, 6, two of them validation before."""
    request = case([50, 51])
    view = look(request, 0, 0)
    assert view.own.rows.tolist() == list(range(50, 58))
    assert view.clean.rows.tolist() == list(range(52, 58))
    request = case([50, 51, 52, 53, 54])
    assert look(request, 0, 0).clean.rows.tolist() == [55, 56, 57]
    assert request.world.split.marks[50:60].tolist() == [0] * 8 + [1, 2]
    gone = list(range(50, 57))
    assert look(case(gone), 0, 0).clean.rows.tolist() == [57]
    assert look(case([50, 58, 59]), 0, 0).clean.rows.tolist() == [51, 52, 53, 54, 55]


def test_former_validation_rows_come_in():
    table = lists([list(range(10)), list(range(20))])
    clean = look(case([0, 1, 2, 3, 4, 5, 9], table), 0, 0).clean
    assert clean.rows.tolist() == [6]
    clean = look(case([0, 9], table), 0, 0).clean
    assert clean.rows.tolist() == [1, 2, 3, 4, 5, 6]
    clean = look(case([10, 11, 29], table), 0, 0).clean
    assert clean.rows.tolist() == list(range(12, 27))
    assert case([10], table).world.split.marks[26] == 1


def test_what_was_forgotten_before_is_not_there():
    view = look(case([52], forgotten=[50, 51]), 0, 0)
    assert view.own.rows.tolist() == list(range(52, 58))


def test_repeats_of_an_item_to_forget_go_as_well():
    table = lists([[3, 1, 3, 2, 4, 5, 6, 7, 8, 9], [1, 2]])
    assert look(case([0], table), 0, 0).clean.items.tolist() == [1, 2, 4, 5, 6, 7]


def test_negatives_are_those_of_the_full_training_set():
    request = case([50, 51])
    own = look(request, 0, 0).clean
    assert own.taken is request.world.examples.taken


@pytest.mark.parametrize(("factor", "least", "people"), [(0, 1, 1), (0, 11, 2), (4, 20, 4)])
def test_retain_takes_whole_people_until_the_budget(factor, least, people):
    request = case([50, 51])
    view = look(request, factor, least)
    users = view.retain.users.unique().tolist()
    assert len(users) == people
    assert view.num_retain == 8 * people
    assert 5 not in users


def test_retain_is_a_tenth_of_the_table_at_most():
    assert len(look(case([50]), 100, 0).retain.users.unique()) == 4


def test_those_who_asked_are_passed_over_and_later_ones_are_not():
    everyone = set(range(40)) - {5, 7, 8}
    request, found = case([50], asked=[7, 8]), set()
    for _ in range(10):
        found |= set(look(request, 0, 40).retain.users.tolist())
    assert found == everyone


def test_the_pool_goes_round_before_anybody_comes_twice():
    request = case([50])
    found = [look(request, 0, 1).retain.users[0].item() for _ in range(78)]
    assert len(set(found[:39])) == 39
    assert sorted(found[:39]) == sorted(found[39:])
    assert found[:39] != found[39:]
    assert int(request.state[PLACE]) > 0


def test_state_is_replaced():
    request = case([50])
    look(request, 0, 1)
    before = request.state[PLACE]
    look(request, 0, 1)
    assert before.item() == 1
    assert before._version == 0


def test_baskets_go_by_the_first_item_of_the_target():
    table = baskets()
    model = build("sets2sets", table)
    world = world_of(model, table)
    own = table.row[table.user == 5]
    first = own[3 * 3]  # of the fourth basket, the last but two
    assert look(ask(world, [first]), 0, 0).num_clean == 0
    for row in (first + 1, own[0]):
        same = table.item[row] == table.item[first]
        view = look(ask(world, [row]), 0, 0)
        assert (view.num_own, view.num_clean) == (1, 0 if same else 1)
        if not same:
            assert torch.equal(view.own.fingerprints(), view.clean.fingerprints())
    assert look(ask(world, own), 0, 0).num_clean == 0


def test_baskets_count_three_rows_a_person():
    request = small_case("sets2sets")[1]
    # a tenth of 3 x 40 is 12: four people
    assert len(look(request, 0, 32).retain.users.unique()) == 4
    assert len(seen(request, 0, 7).retain.users.unique()) == 3


def test_loader_shuffles_and_draws_anew():
    examples = look(case([50], drawn(num_items=300)), 0, 1000).retain
    loader = Loader(examples, 7, 1)
    first, second = list(loader.batches()), list(loader.batches())
    sizes = [len(batch) for batch in first]
    assert sizes == [7] * (len(examples) // 7) + [len(examples) % 7] * (len(examples) % 7 > 0)
    items = [torch.cat([b.item_B for b in batches]) for batches in (first, second)]
    assert not torch.equal(*items)
    assert torch.equal(items[0].sort().values, items[1].sort().values)
    drawn_negatives = [
        {(int(u), int(i)): int(n) for u, i, n in zip(b.user_B, b.item_B, b.negative_B, strict=True)}
        for b in (first[0], next(iter(Loader(examples, 7, 2).batches())))
    ]
    assert drawn_negatives[0] != drawn_negatives[1]
    assert [len(b) for b in loader.batches(10)] == [7, 3]
    assert list(Loader(examples.take(torch.zeros(0, dtype=torch.int64)), 7, 1).batches()) == []
    assert np.isfinite(sizes).all()
