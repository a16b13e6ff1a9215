"""The page of a tiny checkpoint, and a real browser to open it with."""

import os
import shutil
from types import SimpleNamespace

import pytest

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

WAIT = 60_000  # milliseconds; a busy machine must not fail a test


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    from model_tester import save_tiny_checkpoint

    return save_tiny_checkpoint(tmp_path_factory.mktemp("page") / "checkpoint")[0]


@pytest.fixture(scope="session")
def model(checkpoint):
    from hf_mer.app.model import load_page_model

    return load_page_model(checkpoint)


@pytest.fixture(scope="session")
def film_model(tmp_path_factory):
    from media_files import save_film_checkpoint

    from hf_mer.app.model import load_page_model

    return load_page_model(save_film_checkpoint(tmp_path_factory.mktemp("page") / "films"))


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, without a window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served(browser, model):
    """The page's address."""
    pytest.importorskip("gradio", reason="Gradio is not installed: pip install 'hf_mer[app]'")
    from hf_mer.app.server import running_page

    with running_page(model) as page:
        yield page.local_url


@pytest.fixture
def visit(browser, served):
    """`visit(width=375, dark=True)`: a new visitor's page, its requests to elsewhere and its errors beside it."""
    contexts = []

    def open_page(width=1200, dark=False):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        seen = SimpleNamespace(page=page, elsewhere=[], errors=[])
        page.on(
            "request",
            lambda request: (
                seen.elsewhere.append(request.url) if not request.url.startswith((served, "data:", "blob:")) else None
            ),
        )
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.goto(served)
        page.wait_for_selector("#utterance-go")
        return seen

    yield open_page
    for context in contexts:
        context.close()
