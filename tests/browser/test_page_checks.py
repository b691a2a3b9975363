"""Each check finds the fault that it is for, and none in a sound page."""

import page_checks
import pytest
from chromium import PHONE

SOUND = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Sound</title>
<link rel="icon" href="data:,">
<style>body {{ background: #fff; color: #222; margin: 0 }} .scroll {{ overflow-x: auto }}
button:focus-visible, input:focus-visible {{ outline: 2px solid #00f }} {style}</style></head>
<body><header><h1>Sound</h1></header><main><h2>Part</h2>
{body}
<label for="wanted">Show</label><input id="wanted" type="search" aria-controls="rows">
<div class="scroll" tabindex="0" role="region" aria-label="rows"><table id="rows"><thead><tr>
<th scope="col" aria-sort="none"><button>name</button></th>
<th scope="col" aria-sort="none"><button>number</button></th></tr></thead>
<tbody>{rows}</tbody></table></div></main><script>{script}</script></body></html>"""
ROWS = "".join(
    f"<tr><th scope='row'>row{n}</th><td>{n}</td></tr>" for n in (3, 10, 1, *range(20, 40))
)
SORT = """document.querySelectorAll("th button").forEach((button) => { button.onclick = () => {
const head = button.closest("th"), up = head.getAttribute("aria-sort") !== "ascending";
document.querySelectorAll("th").forEach((each) => each.ariaSort && (each.ariaSort = "none"));
head.setAttribute("aria-sort", up ? "ascending" : "descending");
const text = (row) => row.cells[head.cellIndex].textContent;
const body = document.querySelector("tbody");
body.append(...[...body.rows].sort((a, b) => (text(a) < text(b) ? -1 : 1) * (up ? 1 : -1)));
}; });"""
FILTER = """document.getElementById("wanted").oninput = (event) => {
document.querySelectorAll("tbody tr").forEach((row) => {
row.hidden = !row.textContent.toLowerCase().includes(event.target.value.toLowerCase()); }); };"""


@pytest.fixture
def page(tmp_path):
    def page(body="", style="", rows=ROWS, script=SORT + FILTER, **changes):
        text = SOUND.format(body=body, style=style, rows=rows, script=script)
        for old, new in changes.get("instead", {}).items():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "page.html"
        path.write_text(text)
        return path

    return page


CHECKS = [
    page_checks.check_console,
    page_checks.check_network,
    page_checks.check_structure,
    page_checks.check_names,
    page_checks.check_sorting,
    page_checks.check_filter,
    page_checks.check_contrast,
    page_checks.check_width,
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_sound_page(browser, page, scheme):
    path = page()
    browser.open(path, PHONE, scheme)
    for check in CHECKS:
        check(browser)
    page_checks.check_without_scripts(browser, path)


FAULTS = {
    "warning": (page_checks.check_console, {"script": "console.warn('look')"}),
    "exception": (page_checks.check_console, {"script": "nobody()"}),
    "fetched": (page_checks.check_network, {"body": "<img src='http://127.0.0.1:9/x' alt='x'>"}),
    "language": (page_checks.check_structure, {"instead": {' lang="en"': ""}}),
    "two titles": (page_checks.check_structure, {"body": "<h1>more</h1>"}),
    "skipped level": (page_checks.check_structure, {"body": "<h4>deep</h4>"}),
    "id twice": (page_checks.check_structure, {"body": "<p id='rows'>"}),
    "leads nowhere": (page_checks.check_structure, {"body": "<a href='#no'>there</a>"}),
    "no scope": (page_checks.check_structure, {"instead": {"<th scope='row'>row3": "<th>row3"}}),
    "no main": (page_checks.check_structure, {"instead": {"<main>": "<div>", "</main>": ""}}),
    "picture": (page_checks.check_names, {"body": "<svg width='9' height='9'></svg>"}),
    "image": (page_checks.check_names, {"body": "<img src='data:,'>"}),
    "button": (page_checks.check_names, {"body": "<button><svg aria-hidden='true'/></button>"}),
    "label": (page_checks.check_names, {"instead": {'<label for="wanted">Show</label>': ""}}),
    "faint": (page_checks.check_contrast, {"style": "td {{ color: #888 }}"}),
    "see-through": (page_checks.check_contrast, {"style": "td {{ opacity: 0.5 }}"}),
    "ground": (page_checks.check_contrast, {"style": "td {{ background: #555 }}"}),
    "mixed": (
        page_checks.check_contrast,
        {"style": "td {{ color: color-mix(in oklab, #222, white 60%) }}"},
    ),
    "folded": (
        page_checks.check_contrast,
        {"body": "<details><summary>x</summary><p style='color: #bbb'>far</p></details>"},
    ),
    "drawn": (
        page_checks.check_contrast,
        {"body": "<svg role='img' aria-label='x'><text y='20' fill='#bbb'>faint</text></svg>"},
    ),
    "sideways": (page_checks.check_width, {"body": "<p style='width: 500px'>wide</p>"}),
    "no keyboard": (
        page_checks.check_width,
        {"body": "<div class='scroll'><p style='width: 500px'>wide</p></div>"},
    ),
    "unsorted": (page_checks.check_sorting, {"script": FILTER}),
    "wrong order": (
        page_checks.check_sorting,
        {"script": SORT.replace("up ? 1 : -1", "1")},
    ),
    "no ring": (page_checks.check_sorting, {"style": "button {{ outline: none !important }}"}),
    "no filter": (page_checks.check_filter, {"script": SORT}),
    "case": (page_checks.check_filter, {"script": FILTER.replace("value.toLowerCase()", "value")}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(browser, page, fault):
    check, changes = FAULTS[fault]
    if "style" in changes:
        changes = changes | {"style": changes["style"].format()}
    browser.open(page(**changes), PHONE)
    with pytest.raises(AssertionError):
        check(browser)


def test_text_that_scripts_make_is_found(browser, page):
    script = "document.querySelector('h2').insertAdjacentHTML('afterend', '<p>made</p>')"
    with pytest.raises(AssertionError, match="made"):
        page_checks.check_without_scripts(browser, page(script=script))


def test_order():
    assert page_checks.is_sorted(["2", "10", ""])
    assert page_checks.is_sorted(["10", "2"], descending=True)
    assert page_checks.is_sorted(["a", "B"])
    assert not page_checks.is_sorted(["10", "2"])
