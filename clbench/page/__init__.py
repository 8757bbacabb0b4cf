"""The page: every board as one HTML file that opens from disk and asks for nothing.

`view` turns board documents into what the template prints, `charts` into what its
charts draw. Style, scripts and the charts' library are inside the file, and a policy in
its head forbids whatever is not.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

from clbench import atomic
from clbench.page import across, charts, view
from clbench.page.charts import embedded

__all__ = ["render", "write_page"]

Document = Mapping[str, Any]
"""What `leaderboards/<scenario>.json` holds."""

SNIPPET = "window.vegaEmbed = vegaEmbed;"
"""All of the charts' library that the page calls by name."""


def write_page(documents: Iterable[Document], path: Path) -> None:
    """Write the page of the boards in `documents`, a family for each, to `path`."""
    atomic.write(path, render(documents).encode())


def render(documents: Iterable[Document]) -> str:
    """The page as text; equal documents give an equal page.

    It is equal for equal versions of the charts' library, which is part of it.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    # The library declares names of its own at the top.
    script = f"(() => {{\n{_asset('page.js')}{_asset('charts.js')}}})();"
    library = _library()
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.from_string(_asset("page.html.j2"))
    families = [view.family(document) for document in documents]
    return template.render(
        families=families,
        first=view.FIRST,
        generator=f"vl-convert {metadata.version('vl-convert-python')}",
        across=across.across([f["leading"] for f in families if f["leading"]]),
        most=max((len(b["columns"]) for f in families for b in f["boards"]), default=1),
        style=Markup(_asset("page.css")),
        script=Markup(script),
        library=Markup(library),
        allowed=" ".join(f"'{_hash(text)}'" for text in (script, library)),
        specs=embedded(charts.SPECS),
    )


def _asset(name: str) -> str:
    return (files("clbench.page") / name).read_text(encoding="utf-8")


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that ends no script element."""
    import vl_convert

    text = str(vl_convert.javascript_bundle(SNIPPET)).replace("\r\n", "\n")
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _hash(script: str) -> str:
    """How a content security policy names an inline script that may run."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
