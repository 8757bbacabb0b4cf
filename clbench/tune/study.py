"""What to try next: Optuna's answer, a function of the seed and of what came out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clbench.contract import InputError
from clbench.tune.axes import Settings, grid
from clbench.tune.search import Search

if TYPE_CHECKING:
    from optuna import Study

Judge = Callable[[int, Settings], float | None]
"""(number, settings) -> what is compared; None where the trial failed."""


def version() -> str:
    """Optuna's.

    Raises:
        InputError: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise InputError(
            "clbench tune needs Optuna: pip install 'clbench[tune]'"
        ) from error
    return str(optuna.__version__)


def propose(search: Search, defaults: Settings, judge: Judge) -> Study:
    """Try `search.trials` settings, one after another.

    What is tried depends on the seed and on what `judge` has said of the trials before
    and on nothing else: told the same, a study asks for the same. One that was stopped
    is gone through again from its first trial; whatever has a record is not run again.

    Args:
        search: What is searched.
        defaults: The values of its keys where nobody sets them.
        judge: Runs a trial.

    Returns:
        The study, for what Optuna knows of it.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if search.tuning.up else "minimize",
        sampler=optuna.samplers.TPESampler(seed=search.seed),
    )
    spaces = {axis.key: axis.distribution() for axis in search.axes}
    if search.is_grid:
        for drawn in grid(search.axes):
            study.enqueue_trial(drawn)
        rest = range(len(study.trials))
    else:
        # Where everybody starts; what lies outside the space is not told.
        value = judge(0, {})
        told = {a.key: a.drawn(defaults[a.key]) for a in search.axes}
        params = {key: drawn for key, drawn in told.items() if drawn is not None}
        study.add_trial(
            optuna.trial.create_trial(
                state=_state(value),
                value=value,
                params=params,
                distributions={key: spaces[key] for key in params},
            )
        )
        rest = range(1, search.trials)
    for number in rest:
        trial = study.ask(spaces)
        settings = {a.key: a.value(trial.params[a.key]) for a in search.axes}
        value = judge(number, settings)
        study.tell(trial, value, state=_state(value))
    return study


def importances(study: Study) -> dict[str, float]:
    """How much of what came out each setting explains, in parts of 1, largest first.

    By functional analysis of variance, as Optuna computes it; empty where there are too
    few trials to say, or all gave the same.
    """
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    done = study.get_trials(states=(TrialState.COMPLETE,))
    if len(done) < 4 or len({trial.value for trial in done}) < 2:
        return {}
    try:
        evaluator = FanovaImportanceEvaluator(seed=0)
        found = get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError):
        return {}
    return {key: float(part) for key, part in found.items()}


def _state(value: float | None) -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL if value is None else TrialState.COMPLETE
