"""Status and report as a browser shows them: self-contained, readable by all, also by keyboard."""

import page_checks
import pytest
from chromium import DESKTOP, PHONE


@pytest.fixture(params=["status", "report"])
def page(request):
    return request.getfixturevalue(f"{request.param}_page")


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_it_loads_in_silence_and_alone(browser, page, width):
    browser.open(page, width)
    page_checks.check_console(browser)
    page_checks.check_network(browser)


def test_structure(browser, page):
    browser.open(page)
    page_checks.check_structure(browser)


def test_pictures_and_controls_have_names(browser, page):
    browser.open(page)
    page_checks.check_names(browser)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_contrast(browser, page, scheme, width):
    browser.open(page, width, scheme)
    page_checks.check_contrast(browser)


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_no_sideways_scrolling(browser, page, width):
    browser.open(page, width)
    page_checks.check_width(browser)


def test_sorting_by_keyboard(browser, page):
    browser.open(page)
    page_checks.check_sorting(browser)
    page_checks.check_console(browser)


def test_filtering_by_keyboard(browser, page):
    browser.open(page)
    page_checks.check_filter(browser)
    page_checks.check_console(browser)


def test_without_scripts(browser, page):
    page_checks.check_without_scripts(browser, page)
