"""The console in a real Chromium, in front of a server that needs a token."""

import os
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import sync_playwright

from configs.document import application
from tests.e2e.conftest import model
from tests.serving import PROJECT, SHORT, Serving, serve_run

CHROMIUM = shutil.which("chromium")
IN_CI = os.environ.get("CI") == "true"
pytestmark = [
    pytest.mark.ray,
    # In CI it must be there: then the start of the browser fails.
    pytest.mark.skipif(not (CHROMIUM or IN_CI), reason="chromium is not installed"),
]
TOKEN = "a-token-for-the-console-tests"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SEVEN = PROJECT / "examples" / "seven.png"
# A machine short of cores draws late.
WITHIN_MS = 60_000
Page = Any


@pytest.fixture(scope="module")
def serving(cache: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:  # noqa: ARG001
    tokens = tmp_path_factory.mktemp("console") / "tokens"
    tokens.write_text(TOKEN)

    def edit(raw: dict[str, Any]) -> None:
        digits, cpu = application(raw, "digits"), application(raw, "digits-cpu")
        cpu["deployments"] = [{**cpu["deployments"][0], "num_replicas": 2}]
        raw["applications"] = [application(raw, "root"), digits, cpu, model("slow", ms=20)]
        for app in raw["applications"]:
            app["args"] = {**app["args"], "auth": {"tokens_file": str(tokens)}}
            if app["name"].startswith("digits"):
                app["args"]["num_cpus"] = 0.3

    with serve_run(PROJECT / "serve_config.yaml", SHORT, edit) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM or "chromium", args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, serving: Serving, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of its own for each test, which has the token unless the test is about that; it must log no error."""
    options = getattr(request, "param", {})
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
    context.set_default_timeout(WITHIN_MS)
    found = context.new_page()
    errors: list[str] = []
    found.on("pageerror", lambda error: errors.append(str(error)))
    found.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    found.goto(serving.url)
    if "token" not in request.node.name:
        give(found)
    yield found
    context.close()
    assert errors == []


def give(page: Page, token: str = TOKEN) -> None:
    page.fill("#token", token)
    page.click("#token-form button.primary")
    page.wait_for_selector("tr[data-model='digits']")


def ask(serving: Serving, name: str = "digits") -> requests.Response:
    headers = {"authorization": f"Bearer {TOKEN}"}
    return requests.post(f"{serving.model(name)}/predict", data=SEVEN.read_bytes(), headers=headers, timeout=60)


def test_a_token_is_asked_for_and_kept_in_the_tab_and_nowhere_else(page: Page, serving: Serving) -> None:
    page.wait_for_selector("#token-dialog[open]")
    assert page.locator("tr[data-model]").count() == 0
    page.fill("#token", "not-one-of-the-tokens")
    page.click("#token-form button.primary")
    page.wait_for_function("() => document.querySelector('#token-why').textContent.includes('does not know the token')")
    give(page)
    page.reload()
    page.wait_for_selector("tr[data-model='digits']")
    assert page.locator("#token-dialog[open]").count() == 0
    assert page.evaluate("Object.values(sessionStorage)") == [TOKEN]
    assert TOKEN not in page.evaluate("JSON.stringify(localStorage) + document.cookie")
    assert requests.get(f"{serving.url}/console/data", timeout=30).status_code == 401


def test_every_model_is_listed_with_where_it_runs_and_its_replicas(page: Page) -> None:
    page.wait_for_function(
        "() => document.querySelector(\"tr[data-model='digits-cpu']\").textContent.includes('CPU · ')"
    )
    cells = page.locator("tr[data-model='digits-cpu'] td").all_text_contents()
    assert cells[-1] == "2"
    assert page.locator("tr[data-model]").count() == 3
    page.click("a[href='#digits-cpu']")
    page.wait_for_selector("h2:has-text('digits-cpu')")
    assert "all 2 replicas" in page.locator("#model .panel").first.text_content()


def test_the_checks_of_the_start_are_shown(page: Page) -> None:
    page.wait_for_selector(".checks li")
    assert page.locator(".checks .mark.bad").count() == 0
    assert "eval mode, no gradients" in page.locator(".checks").text_content()


def test_a_picture_is_answered_with_the_parts_of_its_time(page: Page) -> None:
    page.wait_for_selector("#try")
    page.set_input_files("[data-file]", str(SEVEN))
    page.click("#try button.primary")
    page.wait_for_selector("#try .answer")
    assert '"label": 7' in page.locator("#try .answer").text_content()
    assert page.locator("#try .legend b").all_text_contents() == ["queue", "forward", "rest", "outside"]
    assert "--data-binary '@seven.png'" in page.locator("#try .code pre").text_content()


def test_json_is_answered_and_the_call_is_shown_in_three_languages(page: Page) -> None:
    page.click("a[href='#slow']")
    page.wait_for_selector("h2:has-text('slow')")
    page.wait_for_selector("[data-json]")
    page.click("#try button.primary")
    page.wait_for_selector("#try .badge.good")
    assert '"outputs"' in page.locator("#try .answer").text_content()
    for language, text in {"curl": "$PITSTOP_TOKEN", "Python": "requests.post(", "JavaScript": "await fetch("}.items():
        page.check(f"#try .code input[value={language}]")
        code = page.locator("#try .code pre").text_content()
        assert text in code
        assert TOKEN not in code


def test_a_refused_request_shows_the_server_s_sentence(page: Page) -> None:
    page.wait_for_selector("#try")
    page.check("#try input[value=json]")
    page.fill("[data-json]", "{")
    page.click("#try button.primary")
    page.wait_for_selector("#try .badge.bad")
    assert page.locator("#try .badge.bad").text_content() == "refused 400"
    assert "error" in page.locator("#try .answer").text_content()


def test_charts_move_under_requests(page: Page, serving: Serving) -> None:
    page.wait_for_selector("[data-chart=requests] path.line", state="attached")  # A flat line has no height.
    rate = "parseFloat(document.querySelector('[data-chart=requests] .readout').textContent)"
    over = threading.Event()
    thread = threading.Thread(target=lambda: [ask(serving) for _ in iter(over.is_set, True)])
    thread.start()
    try:
        # What the tests before sent was less than one in a second.
        page.wait_for_function(f"() => {rate} > 1")
        page.wait_for_function(
            "() => document.querySelector('[data-chart=latency] .figure.b').textContent.match(/\\d/)"
        )
    finally:
        over.set()
        thread.join()
    page.focus("[data-chart=requests] .plot")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("[data-chart=requests] .cursor", state="attached")


def test_the_same_network_stands_side_by_side_with_its_cost_at_the_price_that_is_typed(page: Page) -> None:
    page.wait_for_selector("#cost [data-cost=digits-cpu]")
    assert page.locator("#cost thead th").all_text_contents() == ["digits", "digits-cpu"]
    before = page.locator("[data-cost=digits]").text_content()
    page.fill("[data-input=price-digits]", "1000")
    page.wait_for_function(f"() => document.querySelector('[data-cost=digits]').textContent !== '{before}'")
    assert page.locator("[data-cost=digits]").text_content().startswith("$")


@pytest.mark.parametrize("page", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_it_is_dark_where_the_system_is_and_the_switch_overrules_it(page: Page, request: Any) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = request.node.callspec.params["page"]["color_scheme"] == "dark"
    dark_page, light_page = "rgb(14, 19, 27)", "rgb(245, 246, 249)"
    assert page.evaluate(colour) == (dark_page if dark else light_page)
    page.click("#theme")
    assert page.evaluate(colour) == light_page
    page.click("#theme")
    assert page.evaluate(colour) == dark_page
    page.reload()
    assert page.evaluate(colour) == dark_page


def test_a_narrow_screen_does_not_scroll_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    page.wait_for_selector(".checks li")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_page_loads_nothing_from_elsewhere(page: Page, serving: Serving) -> None:
    loaded = page.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
    assert loaded
    assert [each for each in loaded if not each.startswith(f"{serving.url}/")] == []


def test_a_page_that_nobody_sees_asks_for_nothing(page: Page) -> None:
    asked = "performance.getEntriesByType('resource').filter((each) => each.name.endsWith('/console/data')).length"
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(500)  # What was on its way has come.
    before = page.evaluate(asked)
    page.wait_for_timeout(5000)  # More than two readings.
    assert page.evaluate(asked) == before
