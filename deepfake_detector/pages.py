"""Charts, and web pages that are one file and load nothing from the network.

    template = template_environment(Path("folder")).get_template("report.html.j2")
    html = template.render(policy=content_policy(style), style=Markup(style), ...)

Jinja2 escapes all text, so that a video named <script> is a name. Styles and pictures are in
the page itself, and its content security policy forbids the browser everything else.
"""

import base64
import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

if TYPE_CHECKING:  # it takes half a second to import
    from matplotlib.figure import Figure


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write a chart as a picture, make its folder if needed, and return `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # A name in letters that the font lacks is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(path, dpi=120, bbox_inches="tight")
    return path


def template_environment(folder: Path) -> jinja2.Environment:
    """Return what reads the templates in `folder`: text is escaped, a missing value is an error,
    and `| data_uri('jpeg')` puts a picture into the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["data_uri"] = _data_uri
    return environment


def content_policy(style: str) -> str:
    """Return the content security policy: no source but this one style, and no script."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    sources = ["default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    return "; ".join([*sources, f"style-src 'sha256-{digest}'"])


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
