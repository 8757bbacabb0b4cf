"""`python -m clbench.pocket.train vit`: train a model of the embedded world."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from docstring_parser import DocstringStyle, parse

from clbench.pocket import weights
from clbench.pocket.train import clip, encoder, lm, loop, swin, things, vit

RECIPES: dict[str, tuple[Any, Callable[[Any, Path], dict[str, float]]]] = {
    "vit": (things.Settings, vit.train),
    "swin": (swin.Settings, swin.train),
    "clip": (clip.Settings, clip.train),
    "encoder": (encoder.Settings, encoder.train),
    "lm": (lm.Settings, lm.train),
}
"""Models by name: the settings of each and the function that trains it."""


def main() -> None:
    """Read the command line, train, and print what was reached."""
    parser = argparse.ArgumentParser(
        prog="python -m clbench.pocket.train", description=__doc__
    )
    stated = parse(loop.Settings.__doc__ or "", DocstringStyle.GOOGLE)
    meanings = {entry.arg_name: entry.description for entry in stated.params}
    models = parser.add_subparsers(dest="model", required=True, metavar="MODEL")
    for name, (settings, _) in RECIPES.items():
        options = models.add_parser(
            name,
            help=f"train the pocket {name}",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        options.add_argument(
            "--out", type=Path, default=weights.FOLDER, help="folder of the weights"
        )
        for field in fields(settings):
            options.add_argument(
                f"--{field.name}",
                type=type(field.default),
                default=field.default,
                help=meanings[field.name],
            )
    chosen = vars(parser.parse_args())
    settings, train = RECIPES[chosen.pop("model")]
    out = chosen.pop("out")
    print(train(settings(**chosen), out))


if __name__ == "__main__":
    main()
