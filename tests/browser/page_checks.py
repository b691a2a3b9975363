"""What every page of ours has to be, whatever is on it: checks for a page in a browser.

Each takes an open :class:`~chromium.Browser` and raises AssertionError with what it found. Sources:
WCAG 2.2, level AA; 1.1.1 text alternatives, 1.3.1 structure, 1.4.3 contrast, 1.4.10 reflow,
2.1.1 keyboard, 2.4.7 visible focus, 4.1.2 names.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from chromium import Browser
from selenium.webdriver.common.keys import Keys

FACTS = Path(__file__).with_name("page_checks.js").read_text()
BUTTON = "element.matches('th[aria-sort] button')"
FOCUSED = "document.activeElement"
INPUT = "element.matches('input[type=search], input[type=text], input:not([type])')"


def facts(browser: Browser, name: str, argument: object = "") -> Any:
    """What a function of ``page_checks.js`` returns; its argument is JavaScript as well."""
    return browser.run(f"const facts = (() => {{ {FACTS} }})(); return facts.{name}({argument});")


def check_console(browser: Browser) -> None:
    """Nothing was warned of, and no exception was left uncaught."""
    assert browser.messages() == []


def check_network(browser: Browser) -> None:
    """Nothing but the file itself was asked for."""
    assert set(browser.requests()) == {browser.address}


def check_structure(browser: Browser) -> None:
    """Language, title, landmarks, headings without gaps, and references that lead somewhere."""
    found = facts(browser, "structure")
    assert found["lang"]
    assert found["title"]
    assert found["viewport"]
    assert (found["mains"], found["headers"]) == (1, 1)
    levels = [level for level, _ in found["headings"]]
    assert levels[0] == 1
    assert levels.count(1) == 1
    gaps = [
        text
        for (before, _), (level, text) in zip(
            found["headings"], found["headings"][1:], strict=False
        )
        if level > before + 1
    ]
    assert gaps == [], "headings that skip a level"
    assert [text for _, text in found["headings"] if not text] == []
    twice = [name for name, count in Counter(found["ids"]).items() if count > 1]
    assert twice == [], "ids that are there twice"
    assert set(found["references"]) - set(found["ids"]) == set()
    assert {name for name in found["anchors"] if name} - set(found["ids"]) == set()
    assert found["scopeless"] == [], "heads of rows or columns without scope"
    assert found["headless"] == [], "tables without heads"


def check_names(browser: Browser) -> None:
    """Pictures have a text alternative, and controls have a name."""
    assert facts(browser, "nameless") == []


def check_contrast(browser: Browser) -> None:
    """Text stands out from its ground by 4.5 to 1, large text by 3 to 1; folded parts as well."""
    facts(browser, "openAll")
    found = facts(browser, "faint")
    assert found["count"] > 20, "there is hardly any text"
    assert found["found"] == []


def check_width(browser: Browser) -> None:
    """The page does not scroll sideways; what is wider does so by itself, by keyboard as well."""
    facts(browser, "openAll")
    found = facts(browser, "wide", browser.width)
    assert found["page"] <= browser.width
    assert found["loose"] == [], "wider than the window, and cut off"
    assert found["stuck"] == [], "scrolls sideways, but not by keyboard"


def check_sorting(browser: Browser) -> None:
    """A table is sorted with Tab, Enter and the space bar, and says so."""
    assert facts(browser, "sortable") > 0, "no table can be sorted"
    browser.tab_to(BUTTON)
    before = facts(browser, "column", FOCUSED)
    assert before["outline"] != "none", "the focus cannot be seen"
    seen = {before["state"]}
    for key in (Keys.ENTER, Keys.SPACE):
        browser.press(key)
        found = facts(browser, "column", FOCUSED)
        assert found["state"] in ("ascending", "descending")
        assert found["state"] not in seen
        assert found["others"] == 0
        assert sorted(found["values"]) == sorted(before["values"])
        assert is_sorted(found["values"], found["state"] == "descending"), found
        seen.add(found["state"])


def check_filter(browser: Browser) -> None:
    """Rows of a table are left out by typing into an input, and come back when it is empty."""
    assert facts(browser, "filters") > 0, "no table can be filtered"
    browser.tab_to(INPUT)
    every = facts(browser, "filtered", FOCUSED)
    assert every["shown"] == every["all"]
    word = rarest_word(every["all"])
    browser.press(word.upper())
    left = facts(browser, "filtered", FOCUSED)["shown"]
    assert left == [row for row in every["all"] if word in row.lower()]
    assert 0 < len(left) < len(every["all"])
    for _ in word:
        browser.press(Keys.BACKSPACE)
    assert facts(browser, "filtered", FOCUSED)["shown"] == every["all"]


def check_without_scripts(browser: Browser, page: Path) -> None:
    """All text that is there with scripts is there without them."""
    browser.open(page)
    texts = facts(browser, "visibleTexts")
    browser.open(page, scripts=False)
    without = set(facts(browser, "visibleTexts"))
    assert len(texts) > 20
    assert [text for text in texts if text not in without] == []


def is_sorted(values: list[str], descending: bool = False) -> bool:
    """Whether texts are in order, as numbers where they are; empty ones may be at any end."""
    filled = [value for value in values if value != ""]
    try:
        keys: list[Any] = [float(value) for value in filled]
    except ValueError:
        keys = [value.lower() for value in filled]
    return keys == sorted(keys, reverse=descending)


def rarest_word(rows: list[str]) -> str:
    """A word of the last row that few others have, in small letters."""
    counts = Counter(word for row in rows for word in set(row.lower().split()))
    words = [word for word in rows[-1].lower().split() if len(word) > 2 and word.isascii()]
    return min(words, key=lambda word: (counts[word], -len(word)))
