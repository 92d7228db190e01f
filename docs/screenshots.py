"""Take the screenshots in `docs/images/` from the running demo: `make screenshots`.

Serves the demo on a free port with a new database, creates a few tokens, and opens the pages as alice.

The picture of a Bootstrap site needs a stylesheet that isn't in the repository. `BOOTSTRAP_CSS` in the environment is
its path: `dist/css/bootstrap.min.css` in Bootstrap's npm package. Without it, that picture stays as it is.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
PATIENCE = 60  # seconds until the demo has to have started
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = {"": (1180, 760), "-360": (360, 740)}  # suffix of the file name, and size in pixels
SCHEMES = ("light", "dark")
DIALOGS = {"add-scope": "Add Scope", "revoke": "Revoke", "regenerate": "Regenerate"}  # file name to button label
OTHER_LOOK = "workshop"
BOOTSTRAP = "docs.bootstrap.settings"

TOKENS = (
    ("Pump room sensors", "Readings of the pumps, every minute", "90d", ["channels:*:publish", "channels:*:read"]),
    ("Nightly backup", "Copies all dashboards to the archive", "30d", ["dashboards:*:list", "dashboards:*:read"]),
    ("Wall display", "", "7d", ["channels:*:subscribe", "dashboards:*:read"]),
    ("Spring clean-up", "Removes groups that nobody uses", "24h", ["groups:*:list", "groups:*:delete"]),
)
REVOKED = ("Old gateway", "Replaced by the sensors' own token", "60d", ["channels:*:publish"])


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as address, sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        make_tokens(browser, address)
        for scheme in SCHEMES:
            for suffix, (width, height) in WIDTHS.items():
                take_all(browser, address, scheme=scheme, suffix=suffix, width=width, height=height)
        with serve(Path(folder), DEMO_LOOK=OTHER_LOOK) as other_address:  # with the same database
            for scheme in SCHEMES:
                take_look(browser, other_address, scheme=scheme)
        if stylesheet := os.environ.get("BOOTSTRAP_CSS"):
            with serve(Path(folder), DJANGO_SETTINGS_MODULE=BOOTSTRAP) as bootstrap_address:
                take_bootstrap(browser, bootstrap_address, stylesheet)
        browser.close()


def take_all(browser: Browser, address: str, *, scheme: str, suffix: str, width: int, height: int) -> None:
    page = open_page(browser, address, scheme=scheme, width=width, height=height)
    context = page.context

    def take(name: str, *, full: bool = True) -> None:
        page.screenshot(path=IMAGES / f"{name}-{scheme}{suffix}.png", full_page=full)

    log_in(page)
    page.goto("/pats/")
    take("list")
    fill_in(page)
    take("create")
    page.get_by_role("button", name="Create", exact=True).click()
    page.locator("#token-secret").wait_for()
    take("secret")
    for name, label in DIALOGS.items():
        page.get_by_role("button", name=label, exact=True).first.click()
        page.get_by_role("dialog").wait_for()
        take(name, full=False)
        page.get_by_role("dialog").get_by_role("button", name="Close").click()
    # So that the list is the same in the next round.
    token_id = urlsplit(page.url).path.split("/")[2]
    context.request.delete(f"/api/pats/{token_id}/", headers=csrf_headers(context))
    context.close()


def take_look(browser: Browser, address: str, *, scheme: str) -> None:
    """Take the pages with the second design."""
    width, height = WIDTHS[""]
    page = open_page(browser, address, scheme=scheme, width=width, height=height)
    log_in(page)
    page.goto("/pats/")
    page.screenshot(path=IMAGES / f"{OTHER_LOOK}-list-{scheme}.png")
    page.get_by_role("link", name=TOKENS[0][0]).click()
    page.get_by_role("heading", name=TOKENS[0][0]).wait_for()
    page.screenshot(path=IMAGES / f"{OTHER_LOOK}-token-{scheme}.png")
    page.context.close()


def take_bootstrap(browser: Browser, address: str, stylesheet: str) -> None:
    """Take the list on a plain Bootstrap site. Its own policy allows the `data:` images of Bootstrap."""
    page = open_page(browser, address, scheme="light", width=1280, height=720, bypass_csp=True)
    page.route("**/bootstrap.min.css", lambda route: route.fulfill(path=stylesheet))
    log_in(page)
    page.goto("/pats/")
    page.screenshot(path=IMAGES / "bootstrap-list.png")
    page.context.close()


def open_page(browser: Browser, address: str, *, scheme: str, width: int, height: int, **options: Any) -> Page:
    context = browser.new_context(
        base_url=address,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
        locale="en-GB",
        **options,
    )
    return context.new_page()


def log_in(page: Page) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill("alice-demo")
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("Account of alice").wait_for()


def fill_in(page: Page) -> None:
    page.goto("/pats/create/")
    page.get_by_label("Name").fill("Greenhouse publisher")
    page.get_by_label("Description").fill("Publishes what the greenhouse measures")
    page.get_by_label("Entity Type").select_option("Channels")
    page.locator("[data-pat-picker] input[role=combobox]").click()
    page.locator("[data-pat-picker] [role=listbox] [role=option]").nth(1).click()
    page.get_by_label("Publish").check()
    page.locator("[data-pat-summary]").get_by_text("Publish").wait_for()


def make_tokens(browser: Browser, address: str) -> None:
    """Create a few tokens of alice with the API."""
    context = browser.new_context(base_url=address)
    page = context.new_page()
    log_in(page)
    headers = csrf_headers(context)

    def post(path: str, data: object) -> dict[str, Any]:
        answer = context.request.post(path, data=data, headers=headers)
        assert answer.ok, answer.text()
        return cast("dict[str, Any]", answer.json())

    for name, description, duration, scopes in (*TOKENS, REVOKED):
        words = [
            dict(zip(("entity_type", "entity_id", "operation"), scope.split(":"), strict=True)) for scope in scopes
        ]
        body = {"name": name, "description": description, "duration": duration, "scopes": words}
        token = post("/api/pats/", body)
    post(f"/api/pats/{token['id']}/revoke/", {})
    context.close()


def csrf_headers(context: BrowserContext) -> dict[str, str]:
    (secret,) = [cookie["value"] for cookie in context.cookies() if cookie["name"] == "csrftoken"]
    return {"X-CSRFToken": secret}


@contextmanager
def serve(folder: Path, **variables: str) -> Iterator[str]:
    """Serve the demo with its database in `folder` and these environment variables, and return its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{folder / 'demo.sqlite3'}", "REDIS_URL": "", **variables}
    command = [sys.executable, "manage.py", "demo", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(f"{address}/accounts/login/", server)
        yield address
    finally:
        server.terminate()
        server.wait(PATIENCE)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, ConnectionError, TimeoutError):
            if server.poll() is not None or time.monotonic() > end:
                raise SystemExit("The demo did not start.") from None
            time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
