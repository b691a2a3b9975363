"""What MkDocs calls: adds the pages of `site_pages.py`, and leads links to them."""

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.utils import get_relative_url

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import site_pages  # noqa: E402  # lies beside this file, which MkDocs loads by its path

SHIM = "assets/javascripts/iframe-worker.js"
SHIM_ELSEWHERE = "https://unpkg.com/iframe-worker/shim"
"""Where the theme loads it from. It lets search work in pages that are opened from a folder."""
STYLE = "assets/site.css"
NAMES_ON_ONE_LINE = ".md-typeset td:first-child code { white-space: nowrap; }\n"
ROLE = re.compile(r":(?:func|class|meth|mod|data|attr):(<code>)[~.]*")
LITERAL = re.compile(r"::(</p>)")
"""Marks of docstrings that Markdown does not know."""


def on_files(files: Files, config: Any) -> Files:
    """Add made pages, pages from elsewhere, the files that pages link to, and our script."""
    for place, text in site_pages.generated().items():
        files.append(File.generated(config, place, content=text))
    for place, source in site_pages.ELSEWHERE.items():
        content = (site_pages.ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=content))
    named: set[str] = set()
    for page in files.documentation_pages():
        named |= site_pages.linked_files(page.src_uri, page.content_string)
    for name in sorted(name for name in named if (site_pages.ROOT / name).is_file()):
        source = str(site_pages.ROOT / name)
        files.append(File.generated(config, f"{site_pages.SOURCES}/{name}", abs_src_path=source))
    files.append(File.generated(config, STYLE, content=NAMES_ON_ONE_LINE))
    files.append(File.generated(config, SHIM, abs_src_path=str(HERE / "iframe-worker.js")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Lead links to files outside of ``docs`` to where they are on the site."""
    return site_pages.on_site(page.file.src_uri, markdown)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Take marks out of docstrings."""
    return LITERAL.sub(r":\1", ROLE.sub(r"\1", html))


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Take the script from the site."""
    return output.replace(SHIM_ELSEWHERE, get_relative_url(SHIM, page.url))


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """The same on the page for addresses that do not exist."""
    return output_content.replace(SHIM_ELSEWHERE, SHIM)
