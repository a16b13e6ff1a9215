"""Makes the pictures of the page in `figures/`, so that they are never older than the page.

    python recipes/space/screenshots.py demo/le_mer/Ses05

Needs `hf_mer[app]`, Playwright (`pip install playwright`) and Chromium (on Debian `apt-get install chromium`).
"""

import argparse
import io
import shutil
import sys
from pathlib import Path
from typing import Any

from hf_mer.app import explaining
from hf_mer.app.model import load_page_model
from hf_mer.app.server import running_page

FIGURES = Path(__file__).with_name("figures")
WAIT = 120_000  # milliseconds
WIDE, PHONE = {"width": 1120, "height": 800}, {"width": 390, "height": 844}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="folder, or repository on the Hub; `make demo` makes one")
    parser.add_argument(
        "--out", type=Path, default=FIGURES, help="folder for the pictures (default: figures/ beside it)"
    )
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("no Chromium on this machine; on Debian: apt-get install chromium", file=sys.stderr)
        return 1
    from playwright.sync_api import sync_playwright

    explaining.SECONDS = 60.0  # where the machine is busy the picture must be no rougher than elsewhere
    arguments.out.mkdir(parents=True, exist_ok=True)
    with running_page(load_page_model(arguments.checkpoint)) as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, viewport, dark in (("light", WIDE, False), ("dark", WIDE, True), ("phone", PHONE, False)):
            page = browser.new_page(
                viewport=viewport, color_scheme="dark" if dark else "light", device_scale_factor=1.25
            )
            page.set_default_timeout(WAIT)
            page.goto(served.local_url)
            explain_an_example(page)
            if name == "phone":
                beside(page, arguments.out / "page_phone.png")
            else:
                page.screenshot(path=arguments.out / f"page_{name}.png", full_page=True)
            page.close()
        browser.close()
    return 0


def explain_an_example(page: Any) -> None:
    """Recognises the first example; returns when its explanation is drawn."""
    page.wait_for_selector("#utterance-go")
    page.locator("[id^=example-]").first.click()
    page.wait_for_selector("#utterance-explanation .hm-modalities")
    page.wait_for_timeout(1500)  # the player of the recording draws itself


def beside(page: Any, path: Path) -> None:
    """Screens of a phone side by side: the beginning, a result, its explanation, a long recording."""
    import numpy as np
    from matplotlib import image

    screens = []
    for selector in ("body", "#utterance-result", "#utterance-explanation h3:has-text('Words')"):
        page.locator(selector).evaluate("element => element.scrollIntoView()")
        page.wait_for_timeout(500)
        screens.append(page.screenshot())
    page.get_by_role("tab", name="Long recording").click()
    page.click("#long-example")
    page.wait_for_selector("#long-figure .hm-timeline")
    page.locator("#long-figure").evaluate("element => element.scrollIntoView()")
    page.wait_for_timeout(1500)
    screens.append(page.screenshot())
    arrays = [image.imread(io.BytesIO(screen), format="png")[..., :3] for screen in screens]
    gap = np.full((arrays[0].shape[0], 24, 3), 0.75)
    image.imsave(path, np.concatenate([part for array in arrays for part in (gap, array)][1:], axis=1))


if __name__ == "__main__":
    sys.exit(main())
