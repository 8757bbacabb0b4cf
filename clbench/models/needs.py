"""Which files a backbone's name stands for: those of the package, a folder, the hub."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from clbench.assets.hub import Hub, split
from clbench.assets.need import Local, Need
from clbench.contract import InputError, nearest
from clbench.pocket import weights

KEY = "scenario.backbone"

READ = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.py")
"""Files of a model's folder that are read."""


def transformers_needs(name: str, pocket: str) -> tuple[Need, ...]:
    """What a model of transformers is read from.

    Args:
        name: `pocket`, a folder, or `owner/model` on the hub, `@REVISION` allowed.
        pocket: What the embedded model's weights are called.
    """
    if name == "pocket":
        return (embedded(pocket),)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return (_folder(folder), *_beneath(folder, pocket))
    return (hub(name),) if "/" in name else ()


def image_needs(name: str, pocket: str) -> tuple[Need, ...]:
    """What an image backbone is read from; see `clbench.models.vision`.

    Args:
        name: As there.
        pocket: What the embedded model's weights are called.

    Raises:
        InputError: It is neither a folder nor a model of timm.
    """
    if name == "pocket":
        return (embedded(pocket),)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return (_folder(folder),)
    if folder.is_file():
        return ()
    if name.startswith("hf-hub:"):
        return (hub(name.removeprefix("hf-hub:")),)
    model, at, file = name.partition("@")
    if "/" in model:
        return (hub(name),)
    if at:
        path = Path(file).expanduser()
        return (Local(kind="weights", name=path.name, key=KEY, place=path),)
    found = timm_hub(name)
    return () if found is None else (found,)


def embedded(name: str) -> Local:
    """Weights that ship with clbench."""
    return Local(
        kind="weights",
        name=f"pocket/{name}",
        key=KEY,
        home="ships with clbench",
        licence="Apache-2.0",
        place=weights.FOLDER,
        patterns=(f"{name}/*", f"{name}.*"),
    )


def hub(name: str) -> Hub:
    """A model of the hub: `owner/model`, or `owner/model@REVISION`."""
    repository, pin = split(name)
    return Hub(
        kind="weights",
        name=repository,
        key=KEY,
        home=f"https://huggingface.co/{repository}",
        repository=repository,
        pin=pin,
    )


def timm_hub(name: str) -> Hub | None:
    """Where timm has the weights of its model `name` on the hub; None: not there.

    Raises:
        InputError: It has no such model.
    """
    import timm

    if not timm.is_model(name.split(".")[0]):
        raise unknown(name)
    facts = timm.get_pretrained_cfg(name)
    if facts is None or not facts.hf_hub_id:
        return None
    wanted = (timm_file(facts.hf_hub_filename), "config.json")
    return replace(hub(facts.hf_hub_id), wanted=wanted)


def unknown(name: str) -> InputError:
    """There is no such image backbone: one line, with the nearest."""
    import timm

    near = nearest(name, ["pocket", *timm.list_models()])
    return InputError(
        f"{KEY}={name} is neither a folder nor a model of timm{near} "
        f"(all: python -c 'import timm; print(timm.list_models())')"
    )


def timm_file(given: str | None) -> str:
    """The file of safetensors in a repository of timm, by what timm calls the other."""
    if given is None:
        return "model.safetensors"
    return f"{Path(given).stem.replace('pytorch_model', 'model')}.safetensors"


def _folder(folder: Path) -> Local:
    return Local(
        kind="weights",
        name=folder.resolve().name,
        key=KEY,
        place=folder,
        patterns=READ,
        deep=False,
    )


def _beneath(folder: Path, pocket: str) -> tuple[Need, ...]:
    """What adapters in `folder` are adapters of."""
    try:
        facts = json.loads((folder / "adapter_config.json").read_text())
        base = facts["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return transformers_needs(base, pocket) if isinstance(base, str) else ()
