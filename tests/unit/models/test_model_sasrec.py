import math

import pytest
import torch
from model_checks import check_autocast_keeps_float32, check_twice_differentiable
from pydantic import ValidationError

from erase_ray.models import MODELS, Shape
from erase_ray.tasks._batches import WindowBatch

WINDOWS = ([4, 1], [2, 6, 0, 5], [0], [3, 3, 3])


def make(items=7, dropout=0.0, **settings):
    cls = MODELS.get("sasrec")
    sizes = {"embedding_size": 4, "num_heads": 2, "inner_size": 6, "max_length": 5} | settings
    model = cls(cls.Settings(dropout=dropout, attention_dropout=dropout, **sizes), Shape(2, items))
    model.reset(torch.Generator().manual_seed(1))
    return model


def spread(model, seed=2):
    """Every parameter away from its start, in float64, so that none can hide."""
    generator = torch.Generator().manual_seed(seed)
    for weight in model.double().parameters():
        noise = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
        weight.data += noise * 0.5
    return model


def batch(windows=WINDOWS, filler=0):
    longest = max(len(window) for window in windows)
    rows = [window + [filler] * (longest - len(window)) for window in windows]
    lengths = [len(window) for window in windows]
    sizes = tuple(sum(n > step for n in lengths) for step in range(longest))
    targets = torch.arange(len(windows)) + 3
    return WindowBatch(torch.tensor(rows), torch.tensor(lengths), targets, sizes=sizes)


def dot(left, right):
    return sum(a * b for a, b in zip(left, right, strict=True))


def dense(layer, row):
    weight, bias = layer.weight.tolist(), layer.bias.tolist()
    return [dot(line, row) + b for line, b in zip(weight, bias, strict=True)]


def norm(layer, row):
    mean = sum(row) / len(row)
    spread = math.sqrt(sum((x - mean) ** 2 for x in row) / len(row) + 1e-12)
    scale, shift = layer.weight.tolist(), layer.bias.tolist()
    return [(x - mean) / spread * a + b for x, a, b in zip(row, scale, shift, strict=True)]


def attended(block, rows, step):
    """What the row at ``step`` sees of itself and those before it, head by head."""
    width = len(rows[0]) // block.heads
    queries, keys, values = ([dense(part, row) for row in rows] for part in parts(block))
    seen = []
    for head in range(block.heads):
        own = slice(head * width, (head + 1) * width)
        logits = [dot(queries[step][own], keys[j][own]) / math.sqrt(width) for j in range(step + 1)]
        exps = [math.exp(x) for x in logits]
        shares = [e / sum(exps) for e in exps]
        for d in range(width):
            seen.append(sum(shares[j] * values[j][own][d] for j in range(step + 1)))
    return seen


def parts(block):
    return block.query, block.key, block.value


def textbook_block(block, rows):
    result = []
    for step, row in enumerate(rows):
        news = dense(block.output, attended(block, rows, step))
        middle = norm(block.output_norm, [a + b for a, b in zip(row, news, strict=True)])
        inner = [x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in dense(block.inner, middle)]
        news = dense(block.outer, inner)
        result.append(norm(block.outer_norm, [a + b for a, b in zip(middle, news, strict=True)]))
    return result


def textbook(model, window):
    """Logits after every item of a window, one position at a time."""
    items = model.item_embedding.weight.tolist()
    places = model.position_embedding.weight.tolist()
    rows = [
        norm(model.norm, [a + b for a, b in zip(items[item], places[step], strict=True)])
        for step, item in enumerate(window)
    ]
    for block in model.blocks:
        rows = textbook_block(block, rows)
    return [[dot(row, item) for item in items] for row in rows]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_scores_are_those_of_the_textbook(layers):
    model = spread(make(num_layers=layers))
    expected = torch.tensor([textbook(model, w)[-1] for w in WINDOWS], dtype=torch.float64)
    torch.testing.assert_close(model.scores(batch()), expected, rtol=1e-10, atol=1e-10)


def test_a_prefix_sees_nothing_of_what_follows():
    model = spread(make())
    window = [2, 6, 0, 5, 2]
    expected = torch.tensor(textbook(model, window), dtype=torch.float64)
    prefixes = [window[:n] for n in range(1, 6)]
    torch.testing.assert_close(model.scores(batch(prefixes)), expected, rtol=1e-10, atol=1e-10)


def test_loss_is_cross_entropy_over_all_true_items():
    model = spread(make())
    logits = model.scores(batch())
    assert logits.shape == (4, 7)
    expected = torch.logsumexp(logits, 1) - logits[torch.arange(4), batch().target_B]
    torch.testing.assert_close(model.loss(batch()), expected)


def test_what_stands_behind_the_length_means_nothing():
    model = spread(make())
    pair = (batch(filler=0), batch(filler=5))
    assert torch.equal(*(model.scores(b) for b in pair))
    grads = [torch.autograd.grad(model.loss(b).sum(), list(model.parameters())) for b in pair]
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_scores_of_a_window_do_not_depend_on_its_neighbours():
    model = spread(make())
    alone = torch.cat([model.scores(batch([window])) for window in WINDOWS])
    torch.testing.assert_close(alone, model.scores(batch()), rtol=1e-12, atol=1e-12)


def test_sizes_are_asked_for_when_they_are_not_given():
    model = spread(make())
    known = batch()
    asked = WindowBatch(known.items_BL, known.length_B)
    assert torch.equal(model.scores(asked), model.scores(known))


def test_double_backward_of_all_parameters():
    model = spread(make(items=4, embedding_size=2, inner_size=2, max_length=3))
    model.eval()
    small = batch([[3, 1, 3], [2]])
    small = WindowBatch(small.items_BL, small.length_B, torch.tensor([0, 2]), sizes=small.sizes)

    check_twice_differentiable(model, small)


def test_loss_under_autocast_is_close_and_float32():
    model = make(items=30)
    check_autocast_keeps_float32(model, batch(), {"rtol": 0.02, "atol": 0.02})


@pytest.mark.parametrize("share", ["dropout", "attention_dropout"])
def test_dropout_works_in_training_alone(share):
    cls = MODELS.get("sasrec")
    other = {"dropout": 0.0, "attention_dropout": 0.0} | {share: 0.5}
    model = cls(cls.Settings(**other), Shape(2, 7))
    model.reset(torch.Generator().manual_seed(1))
    assert not torch.equal(model.scores(batch()), model.scores(batch()))
    model.eval()
    assert torch.equal(model.scores(batch()), model.scores(batch()))


def test_sizes_without_padding_and_head():
    cls = MODELS.get("sasrec")
    model = cls(cls.Settings(), Shape(5, 1682))
    block = 4 * (32 * 32 + 32) + (32 * 128 + 128) + (128 * 32 + 32) + 2 * 64
    assert sum(p.numel() for p in model.parameters()) == 32 * 1682 + 32 * 50 + 64 + 2 * block
    assert model.max_history == 50
    assert list(model.head_parameters()) == ["item_embedding.weight"]
    assert list(model.item_tables()) == ["item_embedding.weight"]


def test_initial_weights():
    model = make(1000, embedding_size=64, inner_size=128, max_length=50)
    for name, weight in model.named_parameters():
        if "norm" in name:
            assert torch.equal(weight, torch.full_like(weight, float("weight" in name)))
        elif name.endswith("bias"):
            assert not weight.any()
        else:
            assert abs(weight.std().item() / 0.02 - 1) < 0.05
            assert abs(weight.mean().item()) < 0.002


def test_heads_must_share_evenly():
    message = "embedding_size 5 is no multiple of num_heads 2"
    with pytest.raises(ValidationError, match=message):
        MODELS.get("sasrec").Settings(embedding_size=5)


def test_training_defaults_are_those_of_the_benchmark():
    training = MODELS.get("sasrec").training
    assert (training.epochs, training.batch_size, training.patience) == (60, 256, 10)
    assert (training.select_metric, training.select_k) == ("mrr", 10)
    settings = MODELS.get("sasrec").Settings()
    assert (settings.dropout, settings.attention_dropout, settings.num_layers) == (0.5, 0.5, 2)
