"""How charts look, read from the style sheets of the page."""

import re
from functools import cache
from importlib.resources import files

_TEMPLATES = files("erase_ray.report") / "templates"
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")


@cache
def palette() -> dict[str, str]:
    """The colours of the light page by the name of their CSS variable, such as ``--ink``."""
    text = (_TEMPLATES / "report.css").read_text()
    _, body = next(_rules(text[text.index(":root") :]))
    return {name: value for name, value in body.items() if name.startswith("--")}


@cache
def chart_rules() -> tuple[tuple[str, dict[str, str]], ...]:
    """Selectors and properties of charts, colours written out; later rules go before earlier."""
    return tuple(_rules(plain_css()))


@cache
def plain_css() -> str:
    """The style sheet of charts without variables."""
    text = (_TEMPLATES / "chart.css").read_text()
    return re.sub(r"var\((--[\w-]+)\)", lambda found: palette()[found[1]], text)


def look_of(tag: str, classes: str) -> dict[str, str]:
    """The properties of an element of a chart.

    Args:
        tag: Its name.
        classes: Names of its classes, separated by spaces.
    """
    own = {f".{name}" for name in classes.split()}
    found: dict[str, str] = {}
    for selector, body in chart_rules():
        if selector.split()[-1] in {tag, *own}:
            found |= body
    colour = found.get("color", palette()["--ink"])
    return {key: colour if value == "currentColor" else value for key, value in found.items()}


def _rules(text: str):
    for selector, body in _RULE.findall(text):
        pairs = (line.partition(":") for line in body.split(";") if ":" in line)
        yield selector.strip(), {name.strip(): value.strip() for name, _, value in pairs}
