"""The pages on sites with hostile styles and scripts."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pat_tokens.models import PersonalAccessToken
from tests.browser.conftest import assert_sound, look_alike, picture_of
from tests.factories import ChannelFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HOSTILE = (Path(__file__).parent / "hostile.css").read_text()
BASE = """{% load static %}<!doctype html>
<html lang="en" dir="ltr">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{% block title %}{% endblock %}</title>
  <link rel="icon" href="{% static 'pat_tokens/icon.svg' %}" type="image/svg+xml">
  <link rel="stylesheet" href="/site.css">
  {% block head %}{% endblock %}
</head>
<body>
  <main class="content">{% block content %}{% endblock %}</main>
  <script src="/site.js"></script>
</body>
</html>
"""


@pytest.fixture
def open_on_site(open_browser: Any, settings: Any, tmp_path: Path) -> Any:
    """Open a browser on a site with this style and script."""
    (tmp_path / "base.html").write_text(BASE)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    settings.PAT_TOKENS_BASE_TEMPLATE = "base.html"

    def make(style: str = "", script: str = "", **options: Any) -> Page:
        page: Page = open_browser(**options)
        page.route("**/site.css", lambda route: route.fulfill(content_type="text/css", body=style))
        page.route("**/site.js", lambda route: route.fulfill(content_type="text/javascript", body=script))
        return page

    return make


# The position and style of each element.
COMPUTED = """() => {
  const names = ["display", "position", "float", "color", "background-color", "border-top", "border-inline-start",
    "border-radius", "box-shadow", "font-size", "font-style", "font-variant", "font-weight", "hyphens",
    "letter-spacing", "line-height", "list-style", "margin", "opacity", "padding", "text-align", "text-align-last",
    "text-decoration", "text-shadow", "text-transform", "word-break", "fill", "stroke", "stroke-width", "transform"];
  return [...document.querySelectorAll(".pat-tokens *")].map((element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    const pseudo = ["::before", "::after", "::marker"].map((name) => getComputedStyle(element, name).content);
    pseudo.push(getComputedStyle(element, "::first-letter").fontSize);
    const path = `${element.tagName}.${element.getAttribute("class")}`;
    const values = names.map((name) => `${name}: ${style.getPropertyValue(name)}`);
    return [path, [x, y + scrollY, width, height], ...values, ...pseudo];
  });
}"""


@pytest.mark.parametrize("width", [1280, 360])
def test_site_styles_do_not_affect_pages(open_on_site, user, make_token, width):
    channel = ChannelFactory(owner=user, name="Pump")
    token = make_token(f"channels:{channel.pk}:delete", "channels:*:list", name="deploy", description="for the site")
    options = {"viewport": {"width": width, "height": 800}}
    plain = open_on_site("body { margin: 0; font-family: Georgia, serif }", **options)
    hostile = open_on_site(f"{HOSTILE} body {{ margin: 0 }}", **options)
    own = f"/pats/{token.pk}/"
    for path in ("/pats/", "/pats/?q=none", "/pats/create/", own, f"{own}edit/name/"):
        seen, pictures = [], []
        for page in (plain, hostile):
            page.clock.install(time="2030-01-01T00:00:00Z")
            page.goto(path)
            page.locator("[data-pat-ready]").wait_for()
            if path == "/pats/":
                page.get_by_label("Actions for deploy").click()
            if path == "/pats/create/":
                page.get_by_label("Entity Type").select_option("channels")
                page.get_by_label("Duration").select_option("date")
                page.get_by_role("button", name="Create", exact=True).click()
                expect(page.get_by_role("alert")).to_be_visible()
                page.locator("[data-pat-ready]").wait_for()
                page.mouse.move(0, 0)
                pictures.append(picture_of(page.get_by_label("Last day")))
            if path == own:
                page.get_by_role("button", name="Revoke").click()
                expect(page.get_by_role("dialog")).to_be_visible()
            page.mouse.move(0, 0)  # opening a menu can scroll it under the mouse
            seen.append(page.evaluate(COMPUTED))
        changed = [pair for pair in zip(*seen, strict=True) if pair[0] != pair[1]]
        assert changed[:5] == [], path
        assert not pictures or look_alike(*pictures), path  # the icon of a date field has no computed style
    assert_sound(hostile)


def test_site_styles_do_not_affect_icons(open_on_site, token):
    """The shapes that browsers copy to where an icon is used have no computed style."""
    pages = [open_on_site(style) for style in ("body { margin: 0 }", f"{HOSTILE} body {{ margin: 0 }}")]
    pictures = []
    for page in pages:
        page.goto(f"/pats/{token.pk}/")
        page.locator("[data-pat-ready]").wait_for()
        icons = [icon for icon in page.locator(".pat-icon").all() if icon.is_visible()]
        pictures.append([picture_of(icon) for icon in icons])
    assert len(pictures[0]) > 5
    assert all(look_alike(*pair) for pair in zip(*pictures, strict=True))


def test_font_size_is_browser_default(open_on_site, token):
    page = open_on_site("html { font-size: 10px } body { font-size: 30px }")
    page.goto(f"/pats/{token.pk}/")
    assert page.locator(".pat-tokens").evaluate("root => getComputedStyle(root).fontSize") == "16px"
    assert page.get_by_role("button", name="Revoke").evaluate("button => getComputedStyle(button).fontSize") == "15px"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colors_follow_site_color_scheme(open_on_site, token, scheme):
    """A site without a dark theme stays light, whatever the browser prefers."""
    for theme, background in (
        ("", "rgb(255, 255, 255)"),
        ("html { color-scheme: dark } body { background: #111 }", "rgb(24, 29, 37)"),
    ):
        page = open_on_site(theme, color_scheme=scheme)
        page.goto(f"/pats/{token.pk}/")
        card = page.locator(".pat-card").first
        assert card.evaluate("card => getComputedStyle(card).backgroundColor") == background
        assert_sound(page)


def test_language_and_direction_are_set_on_root(open_on_site, make_token, settings):
    settings.LANGUAGE_CODE = "ar"
    token = make_token(name="deploy")
    page = open_on_site(timezone_id="Europe/Berlin")
    page.goto(f"/pats/{token.pk}/")
    root = page.locator("[data-pat-root]")
    expect(root).to_have_attribute("lang", "ar")
    assert root.evaluate("root => getComputedStyle(root).direction") == "rtl"
    back, heading = page.locator("[data-pat-back]").bounding_box(), page.locator("h1").bounding_box()
    assert back["x"] + back["width"] > 1000
    assert heading["x"] > 600
    expect(page.locator("time[data-pat-time=at]")).not_to_have_text(re.compile("[A-Za-z]"))


# The boxes of the words in the text of an element.
WORDS = """(element) => {
  const text = [...element.childNodes].find((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  return [...text.data.matchAll(/[\\p{L}\\p{N}]+/gu)].map((word) => {
    const range = document.createRange();
    range.setStart(text, word.index);
    range.setEnd(text, word.index + word[0].length);
    return range.getBoundingClientRect().toJSON();
  });
}"""


@pytest.mark.parametrize("bootstrap", [False, True], ids=["plain", "bootstrap"])
@pytest.mark.parametrize(
    ("language", "words", "is_left_first"),
    [("ar", ("24 pumps", "3 more", "7 valves"), True), ("en", ("24 مضخة", "3 أخرى", "7 صمامات"), False)],
    ids=["English name on Arabic page", "Arabic name on English page"],
)
def test_text_of_users_has_its_own_direction(
    open_on_site, user, make_token, settings, language, words, is_left_first, bootstrap
):
    if bootstrap:
        settings.INSTALLED_APPS = ["pat_tokens.contrib.bootstrap5", *settings.INSTALLED_APPS]
    settings.LANGUAGE_CODE = language
    name, description, entity = words
    channel = ChannelFactory(owner=user, name=entity)
    token = make_token(f"channels:{channel.pk}:delete", name=name, description=description)
    page = open_on_site(viewport={"width": 1280, "height": 900})
    for path, places in (
        ("/pats/", [".pat-cell-name a", ".pat-cell-text > div"]),
        (
            f"/pats/{token.pk}/",
            ["h1", "nav [aria-current]", ".pat-text >> nth=0", ".pat-text >> nth=1", "td:nth-child(2) > div"],
        ),
        (f"/pats/{token.pk}/revoke/", ["nav li > a >> nth=1"]),
    ):
        page.goto(path)
        page.locator("[data-pat-ready]").wait_for()
        for place in places:
            number, word = page.locator(place).evaluate(WORDS)
            assert (number["right"] <= word["left"]) == is_left_first, place
    page.goto("/pats/")
    cell = page.locator(".pat-cell-text > div")
    start, end = cell.bounding_box(), cell.evaluate(WORDS)
    if language == "ar":  # in the column of the page, whatever the direction of the text is
        padding = cell.evaluate("cell => parseFloat(getComputedStyle(cell).paddingRight)")
        assert max(word["right"] for word in end) == pytest.approx(start["x"] + start["width"] - padding, abs=1)
    else:
        padding = cell.evaluate("cell => parseFloat(getComputedStyle(cell).paddingLeft)")
        assert min(word["left"] for word in end) == pytest.approx(start["x"] + padding, abs=1)


def test_names_in_sentences_have_their_own_direction(open_on_site, make_token, settings):
    settings.LANGUAGE_CODE = "ar"
    token = make_token(name="24 pumps")
    page = open_on_site()
    page.goto(f"/pats/{token.pk}/revoke/")
    words = page.locator("#pat-panel-title").evaluate(WORDS)
    assert len(words) == 3  # "Revoke", in Arabic, and the name
    assert words[1]["right"] <= words[2]["left"] <= words[0]["left"]


@pytest.mark.parametrize("language", ["ar", "en"])
def test_long_names_end_with_ellipsis(open_on_site, make_token, settings, language):
    settings.LANGUAGE_CODE = language
    page = open_on_site("main { padding: 32px }", viewport={"width": 360, "height": 740})
    for name in ("مفتاح النشر لخادم الإنتاج الرئيسي في مركز البيانات الأول " * 4, "pumps " * 40):
        make_token(name=name, description="d")
        page.goto("/pats/")
        text = page.locator(".pat-cell-name a").first
        # Lines are broken in the same way with an ellipsis and without.
        text.evaluate("element => (element.style.textWrap = 'wrap')")
        with_ellipsis, height = picture_of(text), text.bounding_box()["height"]
        text.evaluate(
            "(element, height) => Object.assign(element.style, { display: 'block', height: `${height}px` })", height
        )
        assert not look_alike(picture_of(text), with_ellipsis), name


def test_names_in_banner_have_their_own_direction(open_on_site, user, settings):
    settings.LANGUAGE_CODE = "ar"
    channel = ChannelFactory(owner=user, name="24 pumps (north)")
    page = open_on_site()
    page.goto(f"/pats/create/?scope=channels:{channel.pk}:delete")
    words = page.get_by_role("status").locator("li bdi").evaluate(WORDS)
    assert words == sorted(words, key=lambda word: word["left"])


def test_sticky_header_does_not_cover_focus(open_on_site, make_token):
    page = open_on_site(
        "body::before { content: ''; display: block; position: sticky; top: 0; z-index: 9; height: 60px }"
        ".pat-tokens { --pat-top: 64px }",
        viewport={"width": 1280, "height": 500},
    )
    page.goto(f"/pats/{make_token(name='deploy').pk}/")
    revoke, rotate = (page.get_by_role("button", name=name) for name in ("Revoke", "Rotate"))
    rotate.focus()
    page.evaluate("y => scrollBy({ top: y - 10, behavior: 'instant' })", revoke.bounding_box()["y"])
    for _ in range(4):
        if revoke.evaluate("button => button === document.activeElement"):
            break
        page.keyboard.press("Shift+Tab")
    expect(revoke).to_be_focused()
    assert revoke.bounding_box()["y"] >= 60


def test_separator_of_breadcrumbs_is_between_names(open_on_site, make_token, settings):
    settings.LANGUAGE_CODE = "ar"
    token = make_token(name="pumps")
    page = open_on_site()
    page.goto(f"/pats/{token.pk}/")
    item = page.locator(".pat-breadcrumbs [aria-current]")
    (word,) = item.evaluate(WORDS)
    assert word["right"] < item.bounding_box()["x"] + item.bounding_box()["width"] - 8


def test_ids_are_left_to_right(open_on_site, make_token, settings):
    """An id can begin with digits, and its groups must not change places."""
    settings.LANGUAGE_CODE = "ar"
    page = open_on_site()
    page.goto(f"/pats/{make_token(name='deploy').pk}/")
    page.locator("#token-id").evaluate("element => element.textContent = '0192-abcd'")
    digits, letters = page.locator("#token-id").evaluate(WORDS)
    assert digits["right"] < letters["left"]


# Each replaces every select of a page, like some libraries; `pick` uses the mouse in the replacement.
WRAPPING = """
for (const select of document.querySelectorAll("select")) {
  const box = document.createElement("div"), list = document.createElement("div");
  box.className = "fancy";
  select.replaceWith(box);
  box.append(select, list);
  select.style.display = "none";
  select.tabIndex = -1;
  for (const option of select.options) {
    const item = document.createElement("div");
    item.className = "fancy-item";
    item.textContent = option.text;
    item.addEventListener("click", () => { select.value = option.value; NOTIFY });
    list.append(item);
  }
}
"""
NATIVE = WRAPPING.replace("NOTIFY", 'select.dispatchEvent(new Event("change", { bubbles: true }))')
SILENT = WRAPPING.replace("NOTIFY", "")  # like jQuery's trigger(), which doesn't call native listeners
LATE = f'document.addEventListener("DOMContentLoaded", () => {{ {SILENT} }})'
# The select only contains the selected option.
EMPTYING = WRAPPING.replace(
    "NOTIFY",
    "select.replaceChildren(new Option(option.text, option.value, true, true)); "
    'select.dispatchEvent(new Event("change", { bubbles: true }))',
)


@pytest.mark.parametrize("script", [NATIVE, SILENT, LATE, EMPTYING], ids=["native", "silent", "late", "emptying"])
def test_pickers_work_with_replaced_selects(open_on_site, user, script):
    pump = ChannelFactory(owner=user, name="Pump")
    page = open_on_site(script=script, viewport={"width": 1280, "height": 900})
    page.goto("/pats/create/")
    page.locator("[data-pat-ready]").wait_for()
    page.get_by_label("Name").fill("deploy")
    page.locator(".fancy-item", has_text="Until a date").click()
    page.get_by_label("Name").focus()
    expect(page.get_by_label("Last day")).to_be_visible()
    page.locator(".fancy-item", has_text="7 days").click()
    row = page.locator("[data-pat-row]")
    row.locator(".fancy-item", has_text="Channels").click()
    picker = row.locator("[data-pat-picker] [role=combobox]")
    picker.click()
    page.get_by_role("option", name="Pump").click()
    row.get_by_label("Publish").check()
    expect(page.locator("[data-pat-summary]")).to_contain_text("Publish – Pump (Channels)")
    page.get_by_role("button", name="Add Scope").click()
    second = page.locator("[data-pat-row]").nth(1)
    second.get_by_label("Entity Type").select_option("devices")
    second.locator("[data-pat-picker] [role=combobox]").click()
    page.get_by_role("option", name="All Devices").click()
    second.get_by_label("List").check()
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator("#token-secret")).to_be_visible()
    token = PersonalAccessToken.objects.get()
    assert {str(scope) for scope in token.scope_set.all()} == {f"channels:{pump.pk}:publish", "devices:*:list"}
    assert (token.expires_at - token.issued_at).days in (6, 7)


def test_list_works_with_replaced_selects(open_on_site, make_token):
    for number in range(7):
        make_token(name=f"deploy {number}")
    page = open_on_site(script=SILENT, viewport={"width": 1280, "height": 900})
    page.goto("/pats/")
    page.locator("[data-pat-ready]").wait_for()
    page.locator("[data-pat-rows] .fancy-item", has_text="5").first.click()
    expect(page.get_by_role("row", name="deploy")).to_have_count(5)


def test_form_is_submitted_once_and_again_later(screen):
    """After an error, after going back, and if a script of the site cancels the submission."""
    sent: list[str] = []
    held: list[Any] = []
    screen.on("request", lambda request: request.method == "POST" and sent.append(request.url))
    screen.goto("/pats/create/")
    create = screen.get_by_role("button", name="Create", exact=True)
    screen.get_by_label("Name").fill("  ")
    screen.evaluate("addEventListener('submit', (event) => event.preventDefault(), { once: true })")
    create.click()
    expect(create).to_be_enabled()
    expect(screen.locator("[data-pat-sent]")).to_have_count(0)
    assert sent == []

    # The response is delayed until the script has recorded the button's state and submitted the form again.
    def hold(route: Any) -> None:
        held.append(route)
        if len(held) == 2:  # the form, and the request of the script after it
            for one in held:
                if one.request.method == "POST":
                    one.continue_()
                else:
                    one.fulfill(status=204)

    screen.route("**/pats/create/", hold)
    screen.route("**/seen", hold)
    screen.evaluate(
        """addEventListener("submit", ({ submitter, target }) => setTimeout(() => {
          sessionStorage.setItem("disabled", submitter.disabled);
          const note = (again) => sessionStorage.setItem("prevented", again.defaultPrevented);
          addEventListener("submit", note, { once: true });
          target.requestSubmit();
          fetch("/seen");
        }), { once: true })"""
    )
    create.click(no_wait_after=True)
    expect(screen.get_by_role("alert")).to_be_visible()
    assert screen.evaluate("[sessionStorage.disabled, sessionStorage.prevented]") == ["true", "true"]
    assert len(sent) == 1
    screen.unroute("**/pats/create/")
    screen.get_by_label("Name").fill("deploy")
    create.click()
    expect(screen.locator("#token-secret")).to_be_visible()
    screen.go_back()
    expect(create).to_be_enabled()
