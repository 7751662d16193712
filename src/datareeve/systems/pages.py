"""How pages look and are rendered: one style for all of them, no script, no network."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(package: str) -> Environment:
    """The templates of a package's folder `pages`, escaped, with the style as `style`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - only where pages are made
    from jinja2.utils import markupsafe  # noqa: PLC0415

    made = Environment(
        loader=PackageLoader(package, "pages"),
        autoescape=lambda name: bool(name and ".html" in name),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    made.globals["style"] = markupsafe.Markup(
        resources.files(__package__).joinpath("page_style.css").read_text("utf-8")
    )  # noqa: S704 - our own file
    return made
