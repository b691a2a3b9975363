"""Every block of every page that is to be run ends with 0, in order, in a folder of its own."""

import pytest
from markdown_pages import pages
from terminal import Terminal

ALL = [page for page in pages() if any(b.language in ("sh", "python") for b in page.blocks)]


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.path)
def test_the_blocks_of_the_page_run(page, warm, request, tmp_path):
    needs_store = any("small-store" in command for b in page.blocks for command in b.before)
    store = request.getfixturevalue("small_store") if needs_store else ""
    terminal = Terminal(tmp_path, warm, store)
    try:
        terminal.run(page)
    finally:
        terminal.close()
