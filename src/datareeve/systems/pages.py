"""How pages look and are rendered: one style for all of them, no script, no network."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(package: str) -> Environment:
    """The templates of a package's folder `pages`, escaped, with the style as `style` (to be marked `safe`)."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape  # noqa: PLC0415 - only where pages are made

    made = Environment(
        loader=PackageLoader(package, "pages"),
        autoescape=select_autoescape(("html.j2",)),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    made.globals["style"] = resources.files(__package__).joinpath("page_style.css").read_text("utf-8")
    return made
