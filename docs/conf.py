"""How Sphinx builds these pages: `make docs`."""

project = "hvae-sweep"
extensions = ["myst_parser"]
exclude_patterns = ["_build", "gallery/*/table.md", "reference/cpu/table.md"]
html_theme = "furo"
html_title = "hvae-sweep"
html_show_copyright = False
html_show_sphinx = False
myst_heading_anchors = 2
highlight_language = "text"
