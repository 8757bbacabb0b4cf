"""One call of a model whose rows are divided: its outputs, and its gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from clbench.devices import rows
from clbench.devices.ambient import kept
from clbench.devices.draws import Draws
from clbench.devices.scaling import Gradients

if TYPE_CHECKING:
    from clbench.devices.plan import Plan


class Call:
    """A call of a model on a minibatch, of which parts compute one after another.

    Whoever calls sees one output of all rows, and gradients of all of them, whatever
    asks for these: a backward pass, or a strategy that wants the gradient of something
    else.

    Args:
        plan: How it is computed.
        model: Whose parameters get gradients.
        function: Computes, rows of its output being those of what it is given.
        args, kwargs: What it is given.
        divided: Whether rows may be computed apart.
    """

    def __init__(
        self,
        plan: Plan,
        model: nn.Module,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        *,
        divided: bool = True,
    ) -> None:
        self._plan, self._model, self._function = plan, model, function
        self._given = (tuple(args), kwargs)
        self._rows = rows.count(self._given)
        self._own = plan.own(self._rows) if divided else range(self._rows)
        parts = plan.settings.accumulate if torch.is_grad_enabled() and divided else 1
        self._parts = rows.divided(self._own, parts)
        # Without rows of its own, whatever draws is drawn as it always is.
        self._draws = model.training and len(self._parts[0]) < self._rows

    def __call__(self) -> Any:
        """The output of all rows."""
        known = [p for p in self._model.parameters() if p.requires_grad]
        if not (torch.is_grad_enabled() and known):
            return self._joined(self._compute(self._own))
        if self._plan.simple:
            # Nothing is divided: torch's own graph is all that is needed.
            return self._compute(self._own)
        made = _Divided.apply(self, len(known), *known)
        return rows.replaced(self._form, made)

    def forward(self) -> tuple[list[Tensor], list[Tensor]]:
        """Outputs of own rows with their graph, if it is kept; outputs of all."""
        self._again = kept(self._plan.ambients)
        own: list[Tensor] = []
        if len(self._parts) == 1:
            with torch.enable_grad():
                made = self._compute(self._own)
            own = list(rows.tensors(made))
            made = rows.change(made, Tensor.detach)
        else:
            self._random = randomness(self._plan.device)
            outputs = []
            for part in self._parts:
                # Every part draws from where the whole began.
                draw_from(self._random, self._plan.device)
                outputs.append(self._compute(part))
            made = self._beside(outputs)
        whole = self._joined(made)
        self._form = rows.change(whole, lambda tensor: torch.empty(0))
        return own, list(rows.tensors(whole))

    def backward(
        self,
        own: Sequence[Tensor],
        parameters: Sequence[Tensor],
        given: Sequence[Tensor | None],
    ) -> Gradients:
        """Gradients of `parameters`.

        Args:
            own: What `forward` gave of own rows.
            parameters: Of the model.
            given: Gradients of the outputs of all rows, where there are any.
        """

        # What all processes compute alike is a part of each: whatever layers see in the
        # backward pass then adds up to the whole over processes.
        size = 1 if self._divided else self._plan.team.size

        def descend(factor: float) -> Gradients:
            if own:
                cut = self._cut(given, self._own, factor / size)
                found = _gradients(own, parameters, cut)
            else:
                found = self._parted(parameters, given, factor / size)
            if size > 1:
                return [
                    None if gradient is None else gradient * size for gradient in found
                ]
            return self._plan.summed(found, parameters, self._divided)

        scaling = self._plan.scaling
        return descend(1.0) if scaling is None else scaling.descend(descend)

    @property
    def _divided(self) -> bool:
        """Whether other processes compute other rows."""
        return len(self._own) < self._rows

    def _parted(
        self, parameters: Sequence[Tensor], given: Gradients, factor: float
    ) -> Gradients:
        """Gradients, part by part: each is computed again, now with its graph."""
        device = self._plan.device
        now = randomness(device)
        total: list[Tensor | None] = [None] * len(parameters)
        for part in self._parts:
            draw_from(self._random, device)
            with torch.enable_grad(), self._again():
                made = list(rows.tensors(self._compute(part)))
            found = _gradients(made, parameters, self._cut(given, part, factor))
            for place, gradient in enumerate(found):
                before = total[place]
                if gradient is not None:
                    total[place] = gradient if before is None else before + gradient
        draw_from(now, device)
        return total

    def _cut(self, given: Gradients, part: range, factor: float) -> Gradients:
        """What of `given` is of these rows, times `factor`."""
        cut = [
            g[part.start : part.stop] if g is not None and len(part) < self._rows else g
            for g in given
        ]
        if factor == 1.0:
            return cut
        return [None if gradient is None else gradient * factor for gradient in cut]

    def _compute(self, part: range) -> Any:
        """The output of some rows, in float32."""
        plan = self._plan
        before = plan.dividing
        plan.dividing = (self._rows, part) if len(part) < self._rows else None
        try:
            return self._drawn(part, *rows.part(self._given, self._rows, part))
        finally:
            plan.dividing = before

    def _drawn(self, part: range, args: Any, kwargs: Any) -> Any:
        """The same; whatever draws at random draws for all rows."""
        plan, device = self._plan, self._plan.device
        if not self._draws:
            return plan.run(self._function, args, kwargs)
        if not plan.draws:
            before = randomness(device)
            made = plan.run(self._function, args, kwargs)
            if torch.equal(before, randomness(device)):
                return made
            # A layer has drawn at random: from now on, for all rows.
            plan.draws = True
            draw_from(before, device)
        with plan.drawing(Draws(self._rows, part)):
            return plan.run(self._function, args, kwargs)

    def _joined(self, made: Any) -> Any:
        """The output of all rows, of that of own ones."""
        return self._plan.gathered(made, self._rows) if self._divided else made

    def _beside(self, made: Sequence[Any]) -> Any:
        """Outputs of parts, one below another."""
        columns = zip(*(list(rows.tensors(each)) for each in made), strict=True)
        joined = []
        for column in columns:
            for tensor, part in zip(column, self._parts, strict=True):
                rows.check(tensor, len(part))
            joined.append(torch.cat(column))
        return rows.replaced(made[0], joined)


class _Divided(torch.autograd.Function):
    """A call as one node of the graph: whoever asks gets gradients of all rows."""

    @staticmethod
    def forward(
        ctx: Any, call: Call, count: int, *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        own, whole = call.forward()
        ctx.call, ctx.count = call, count
        ctx.set_materialize_grads(False)
        # Let go with the rest of the graph, unless that is retained.
        ctx.save_for_backward(*parameters, *own)
        ctx.mark_non_differentiable(*(t for t in whole if not t.is_floating_point()))
        return tuple(whole)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Any, ...]:
        saved = ctx.saved_tensors
        parameters, own = saved[: ctx.count], saved[ctx.count :]
        return (None, None, *ctx.call.backward(own, parameters, given))


def _gradients(
    made: Sequence[Tensor], parameters: Sequence[Tensor], given: Gradients
) -> Gradients:
    """Gradients of `parameters`, whose outputs `made` get the gradients `given`."""
    pairs = [
        (tensor, gradient)
        for tensor, gradient in zip(made, given, strict=True)
        if gradient is not None and tensor.requires_grad
    ]
    if not pairs:
        return [None] * len(parameters)
    outputs, gradients = zip(*pairs, strict=True)
    return torch.autograd.grad(
        outputs,
        list(parameters),
        gradients,
        # Somebody may ask again: strategies do, for one task after another.
        retain_graph=True,
        allow_unused=True,
    )


def randomness(device: torch.device) -> Tensor:
    """The state of the generator that layers on `device` draw from."""
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.get_rng_state()


def draw_from(state: Tensor, device: torch.device) -> None:
    """Let layers on `device` draw from there."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
