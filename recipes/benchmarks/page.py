"""Answer time of the page: from the click to the scores, and to the explanation, in a headless Chromium.

    python recipes/benchmarks/page.py --checkpoint demo/le_mer/Ses05 --recording hello.wav --text "Fine."

The recording is uploaded before; the words differ from round to round, so that nothing is answered from a cache. With
new scores the page takes the last explanation away, which is how their coming is noticed.
"""

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CLICK = """(word) => new Promise(done => {
    const start = performance.now(), times = [];
    const observer = new MutationObserver(() => {
        const last = [...document.querySelectorAll('#utterance-explanation .hm-word')].pop();
        if (!times.length && !last) times.push(performance.now() - start);
        if (times.length && last?.innerText === word) {
            observer.disconnect();
            done([...times, performance.now() - start]);
        }
    });
    observer.observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
    document.querySelector('button#utterance-go').click();
})"""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen, seconds: float = 120) -> None:
    """Returns when the page listens; raises if its process ends or takes too long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError("the page did not come up")


def measure(settings: argparse.Namespace, port: int) -> list[tuple[float, float]]:
    """Milliseconds to the scores and to the explanation in every round, the first left out."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=settings.chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}")
        page.wait_for_selector("#utterance-go")
        page.set_input_files("#utterance-sound input[type=file]", str(settings.recording))
        page.wait_for_selector("#utterance-sound audio", state="attached")
        times = []
        for number in range(settings.repeats + 1):
            page.fill("#utterance-words textarea", f"{settings.text} so{number}.")
            page.wait_for_timeout(500)
            times.append(page.evaluate(CLICK, f"so{number}."))
        browser.close()
    return times[1:]


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, help="checkpoint of LE-MER, whose words are coloured")
    parser.add_argument("--recording", type=Path, required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--json", type=Path)
    settings = parser.parse_args(argv)
    port = free_port()
    command = [sys.executable, "-m", "hf_mer.cli", "app", settings.checkpoint, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        times = measure(settings, port)
    finally:
        process.terminate()
        process.wait(30)
    result: dict[str, Any] = {}
    for name, values in zip(("scores", "explanation"), zip(*times, strict=True), strict=True):
        result[name] = {"milliseconds": values, "median": statistics.median(values)}
        print(f"| click to {name} | {result[name]['median']:.0f} ms ({min(values):.0f}-{max(values):.0f}) |")
    if settings.json:
        settings.json.write_text(json.dumps(result) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    main()
