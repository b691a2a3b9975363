"""Links between pages, and to files and headings, lead somewhere."""

from pathlib import PurePosixPath

import pytest
from markdown_pages import ROOT, Page, pages, parse, read, slug
from site_pages import generated_paths

PAGES = pages()


def dead_links(page: Page, root=ROOT, generated=()) -> list[str]:
    """Links of a page to files that are not there, or headings that their page does not have."""
    dead = []
    for link in page.links:
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (root / page.path).parent / path if path else root / page.path
        inside = target.resolve().relative_to(root.resolve()) if path else None
        if inside is not None and str(inside) in generated:
            continue
        if not target.exists():
            dead.append(link)
        elif anchor and target.suffix == ".md":
            name = page.path if inside is None else PurePosixPath(inside).as_posix()
            if anchor not in read(name, root).anchors:
                dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_links_of_the_page_lead_somewhere(page):
    assert dead_links(page, generated=generated_paths()) == []


def test_a_dead_link_is_found(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/one.md").write_text("# One\n\n## A part, `named`\n")
    text = (
        "[a](one.md) [b](one.md#a-part-named) [c](one.md#another-part) [d](two.md) "
        "[e](#here) [f](#there) `[g](code.md)` [h](https://example.com)\n## Here\n"
        "```text\n[i](block.md)\n```\n"
    )
    (tmp_path / "docs/page.md").write_text(text)
    found = dead_links(parse("docs/page.md", text), tmp_path)
    assert found == ["one.md#another-part", "two.md", "#there"]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("A thousand requests", "a-thousand-requests"),
        ("`scif`, and others", "scif-and-others"),
        ("Models & data", "models--data"),
        ("[A link](x.md) here", "a-link-here"),
    ],
)
def test_anchors_are_those_of_github(heading, anchor):
    assert slug(heading) == anchor


def test_headings_of_the_same_name_are_numbered():
    assert parse("a.md", "# One\n## One\n### One\n").anchors == {"one", "one-1", "one-2"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```sh\ntrue\n", "without an end"),
        ("<!-- not run: why -->\ntext\n", "no block follows directly"),
        ("<!-- not run: why -->\n", "no block follows on the last"),
        ("<!-- not run: -->\n```sh\ntrue\n```\n", "without a reason"),
    ],
)
def test_a_page_that_is_badly_marked_is_refused(text, told):
    with pytest.raises(ValueError, match=told):
        parse("page.md", text)
