"""From a page's content to one HTML file that needs no network.

Jinja escapes every text. Charts go in as JSON in which no < is left, so that nothing ends their element early, and a
content security policy keeps the page from loading anything.
"""

from __future__ import annotations

import json
from importlib import resources

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from analysis.page.content import Content, cell_of

RELOAD_SECONDS = 30


def render(content: Content, reload: bool = False) -> str:
    """Return the page; with `reload` it reloads itself while cells are pending."""
    folder = resources.files("analysis.page")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((folder / "report.html").read_text(encoding="utf-8"))
    charts = [
        {"name": each.name, "figure": each.figure, "axes": [axis.chosen for axis in each.axes], "entries": each.entries}
        for each in content.charts
    ]
    return template.render(
        page=content,
        cell_of=cell_of,
        seconds=RELOAD_SECONDS if reload and content.pending else None,
        style=Markup((folder / "report.css").read_text(encoding="utf-8")),  # ours
        script=Markup((folder / "report.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()),
        charts=Markup(json.dumps(charts, allow_nan=False).replace("<", "\\u003c")),
    )
