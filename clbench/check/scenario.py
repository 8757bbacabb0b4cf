"""Checks of a scenario by itself, on its toy."""

from __future__ import annotations

import time

import torch

from clbench.assets.need import Need
from clbench.check.checks import (
    Broken,
    Check,
    expect,
    first_batch,
    learn,
    snapshot,
)
from clbench.check.tuning import tuning_reads_no_test_number
from clbench.contract import Scenario, Strategy
from clbench.devices.rows import tensors
from clbench.matrix import Matrix, Row
from clbench.schema import RESERVED, parameters


def model_is_fresh_and_the_same(scenario: type[Scenario]) -> None:
    """Two calls of `model` give two models with equal weights."""
    toy = scenario.toy()
    one, two = toy.model(), toy.model()
    expect(one is not two, "`model` returns the same object twice")
    for name, value in one.state_dict().items():
        expect(
            torch.equal(value, two.state_dict()[name]),
            f"'{name}' differs between two calls of `model`: draw it from the seed",
        )


def stream_keeps_the_budget(scenario: type[Scenario]) -> None:
    """Steps, batch sizes and positions are those that the budget promises."""
    toy = scenario.toy()
    stream = toy.stream()
    steps = sum(experience.steps for experience in stream)
    expect(
        steps == toy.budget.steps * toy.budget.models,
        f"the stream takes {steps} steps, the budget says {toy.budget.steps} for each "
        f"of {toy.budget.models} models",
    )
    for position, experience in enumerate(stream):
        expect(
            experience.index == position,
            f"experience {position} says that it is number {experience.index}",
        )
        expect(
            set(experience.tasks) <= set(toy.tasks),
            f"experience '{experience.name}' teaches unknown tasks {experience.tasks}",
        )
        for batch in experience.train.batches(0, experience.steps):
            expect(
                len(batch) == toy.budget.batch_size,
                f"a batch has {len(batch)} examples, the budget says "
                f"{toy.budget.batch_size}",
            )


def batches_depend_on_the_seed_alone(scenario: type[Scenario]) -> None:
    """Equal seeds give equal minibatches, other seeds others."""
    data = scenario.toy().stream()[0].train
    one, again, other = (
        [list(batch) for batch in data.batches(seed, 3)] for seed in (7, 7, 8)
    )
    expect(one == again, "the same seed gives other minibatches the second time")
    expect(one != other, "another seed gives the same minibatches")


def loss_merit_and_distance_have_their_shapes(scenario: type[Scenario]) -> None:
    """Scalars where scalars are asked, (B,) for merit, gradients where they flow."""
    toy = scenario.toy()
    batch, model = first_batch(toy), toy.model()
    output = model(batch)
    loss = toy.loss(output, batch)
    expect(loss.shape == (), f"the loss has shape {tuple(loss.shape)}, not ()")
    expect(bool(loss.isfinite()), f"the loss is {loss.item()}")
    loss.backward()
    expect(
        any(p.grad is not None for p in _learnable(toy, model)),
        "no gradient of the loss reaches the heads",
    )
    merit = toy.merit(output, batch)
    size = toy.budget.batch_size
    expect(
        merit.shape == (size,), f"merit has shape {tuple(merit.shape)}, not ({size},)"
    )


def distance_is_a_distance(scenario: type[Scenario]) -> None:
    """0 for equal outputs, above 0 for others, differentiable in the first."""
    toy = scenario.toy()
    batch, model = first_batch(toy), toy.model()
    old = _detached(model(batch))
    zero = toy.distance(model(batch), old, batch)
    expect(abs(zero.item()) < 1e-6, f"equal outputs are {zero.item()} apart")
    with torch.no_grad():
        for parameter in _learnable(toy, model):
            generator = torch.Generator().manual_seed(0)
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    far = toy.distance(model(batch), old, batch)
    expect(far.item() > 1e-6, f"different outputs are {far.item()} apart")
    far.backward()
    expect(
        any(p.grad is not None and bool(p.grad.any()) for p in _learnable(toy, model)),
        "the distance has no gradient in its first argument",
    )


def examples_stand_alone(scenario: type[Scenario]) -> None:
    """Where `per_example` says so, more examples do not change what others get."""
    toy = scenario.toy()
    if not toy.per_example:
        return
    model, batch = toy.model().eval(), first_batch(toy)
    # The first example once more for each: nothing that could need more room.
    joined = {n: torch.cat([v, v[:1].expand_as(v)]) for n, v in batch.items()}
    with torch.no_grad():
        for whole, alone in zip(
            tensors(model(joined)), tensors(model(batch)), strict=True
        ):
            size = (2 * len(alone), *alone.shape[1:])
            expect(
                whole.shape == size,
                f"`per_example`, but an output of twice the examples has shape "
                f"{tuple(whole.shape)}, not {size}",
            )
            gap = float((whole[: len(alone)].float() - alone.float()).abs().max())
            expect(gap <= 1e-4, f"`per_example`, but other examples move it by {gap}")


def losses_add_up(scenario: type[Scenario]) -> None:
    """The losses of a batch's tasks add up to its loss; several where it says so."""
    toy = scenario.toy()
    batch = first_batch(toy)
    output = toy.model()(batch)
    parts = toy.losses(output, batch)
    total = sum(part.item() for part in parts.values())
    whole = toy.loss(output, batch).item()
    expect(
        abs(total - whole) <= 1e-5 * max(1, abs(whole)),
        f"the losses of tasks add up to {total}, the loss is {whole}",
    )
    expect(
        not toy.shares_steps or len(parts) > 1,
        "`shares_steps`, but a batch has the loss of one task",
    )


def layers_exist(scenario: type[Scenario]) -> None:
    """Every adaptable layer names a module that is there, and rows that it has."""
    toy = scenario.toy()
    model = toy.model()
    layers = list(toy.adaptable(model))
    expect(bool(layers), "no layer can be adapted")
    for layer in layers:
        module = model.get_submodule(layer.path)
        weight = getattr(module, "in_proj_weight", None)
        weight = getattr(module, "weight", None) if weight is None else weight
        if weight is None:
            raise Broken(f"'{layer.path}' has no weight to adapt")
        if layer.rows is not None:
            start, stop = layer.rows
            expect(
                0 <= start < stop <= len(weight),
                f"rows {layer.rows} are not within the {len(weight)} rows of "
                f"'{layer.path}'",
            )


def heads_belong_to_the_model(scenario: type[Scenario]) -> None:
    """Heads are parameters of the model."""
    toy = scenario.toy()
    model = toy.model()
    known = {id(p) for p in model.parameters()}
    expect(
        all(id(p) in known for p in toy.heads(model)),
        "a head is no parameter of the model",
    )


def every_row_judges_every_task(scenario: type[Scenario]) -> None:
    """Rows have the same tasks and metrics; judging changes nothing and repeats."""
    toy = scenario.toy()
    model = toy.model().eval()
    before = snapshot(model)
    with torch.no_grad():
        first = toy.evaluate(model, 0)
        rows = [first] + [
            toy.evaluate(model, upto) for upto in range(len(toy.stream()) + 1)
        ]
    shape = {task: set(result.metrics) for task, result in first.items()}
    expect(
        set(toy.tasks) <= set(shape),
        f"tasks {sorted(set(toy.tasks) - set(shape))} are not judged",
    )
    for row in rows:
        found = {task: set(result.metrics) for task, result in row.items()}
        expect(found == shape, f"a row has {found}, another {shape}")
    expect(
        {t: dict(r.metrics) for t, r in rows[0].items()}
        == {t: dict(r.metrics) for t, r in rows[1].items()},
        "judging the same model twice gives different numbers",
    )
    for name, value in model.state_dict().items():
        expect(torch.equal(value, before[name]), f"judging the model changed '{name}'")


def scores_are_the_metrics(scenario: type[Scenario]) -> None:
    """`scores` gives exactly the declared metrics, `main` among them."""
    toy = scenario.toy()
    expect(
        scenario.main in (*scenario.metrics, *scenario.compared),
        "`main` is not one of the scenario's metrics",
    )
    model = toy.model().eval()
    with torch.no_grad():
        scores = {t: dict(r.metrics) for t, r in toy.evaluate(model, 0).items()}
    stream = toy.stream()
    learned: dict[str, int] = {}
    for experience in stream:
        for task in experience.tasks:
            learned.setdefault(task, experience.index + 1)
    rows = tuple(
        Row(experience=i, step=i, boundary=True, scores=scores)
        for i in range(len(stream) + 1)
    )
    params = {
        name: getattr(toy, name)
        for name in (scenario.folds, *scenario.replicates)
        if name is not None
    }
    found = scenario.scores(Matrix(rows=rows, learned=learned), params)
    names = {metric.name for metric in scenario.metrics}
    expect(
        set(found) == names,
        f"`scores` gives {sorted(found)}, the metrics are {sorted(names)}",
    )


def toy_is_quick(scenario: type[Scenario]) -> None:
    """A cell of the toy takes under two seconds of processor time."""
    learn(Strategy(), scenario.toy())
    start = time.process_time()
    learn(Strategy(), scenario.toy())
    spent = time.process_time() - start
    expect(spent < 2 * torch.get_num_threads(), f"the toy's cell took {spent:.1f} s")


def outputs_hold_tensors(scenario: type[Scenario]) -> None:
    """A model's output holds at least one tensor that a gradient flows through."""
    toy = scenario.toy()
    output = toy.model()(first_batch(toy))
    expect(
        any(t.requires_grad for t in tensors(output)),
        "no tensor of the model's output requires a gradient",
    )


def needs_are_named_and_looked_for(scenario: type[Scenario]) -> None:
    """What `sources` and `needs` name can be looked for, each by a name of its own."""
    known = parameters(scenario, RESERVED["scenario"])
    defaults = {name: each.default for name, each in known.items()}
    for said in (scenario.sources(), scenario.needs(defaults)):
        for need in said:
            expect(isinstance(need, Need), f"{need!r} is no Need")
            expect(bool(need.name), f"a {type(need).__name__} has no name")
            place = need.here()
            expect(
                place is None or place.exists(),
                f"'{need.name}' is said to be where nothing is",
            )
        names = [need.name for need in said]
        twice = sorted({name for name in names if names.count(name) > 1})
        expect(not twice, f"several are called {', '.join(twice)}")


SCENARIO_CHECKS: tuple[Check, ...] = (
    model_is_fresh_and_the_same,
    stream_keeps_the_budget,
    batches_depend_on_the_seed_alone,
    outputs_hold_tensors,
    loss_merit_and_distance_have_their_shapes,
    examples_stand_alone,
    losses_add_up,
    distance_is_a_distance,
    layers_exist,
    heads_belong_to_the_model,
    every_row_judges_every_task,
    scores_are_the_metrics,
    tuning_reads_no_test_number,
    needs_are_named_and_looked_for,
    toy_is_quick,
)


def _learnable(toy: Scenario, model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The heads; every parameter where a model has none."""
    return list(toy.heads(model)) or list(model.parameters())


def _detached(output: object) -> object:
    if isinstance(output, torch.Tensor):
        return output.detach()
    if isinstance(output, dict):
        return {key: _detached(value) for key, value in output.items()}
    if isinstance(output, list | tuple):
        return type(output)(_detached(value) for value in output)
    return output
