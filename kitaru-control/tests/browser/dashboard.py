"""Uses the dashboard as a person does. Arguments: the address of the server, its token, a folder for pictures."""

import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

base, token, pictures = sys.argv[1], sys.argv[2], Path(sys.argv[3])
quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]


def log_in(page):
    page.goto(f"{base}/login#{token}")
    page.wait_for_url(f"{base}/")


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=quiet)
    complaints = []

    # Every page, in light and dark, on a desk and on a phone: nothing is wider than the window.
    for scheme in ["light", "dark"]:
        for width in [1280, 390]:
            context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
            page = context.new_page()
            page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
            log_in(page)
            for name, path in [("list", "/"), ("inbox", "/waits"), ("approval", "/e/clerk/invoice-7"), ("failed", "/e/order/order-2"), ("flows", "/flows"), ("health", "/health")]:
                page.goto(base + path)
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{name} is {wide} wide on a window of {width}"
                page.screenshot(path=pictures / f"{name}-{scheme}-{width}.png", full_page=True)
            context.close()

    # The approval of an agent's tool call, with a changed argument. A second window sees the end without a reload.
    context = browser.new_context()
    page, watching = context.new_page(), context.new_page()
    for window in [page, watching]:
        window.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    log_in(page)
    watching.goto(f"{base}/e/clerk/invoice-7")
    expect(watching.locator("h1 .waiting")).to_be_visible()
    page.goto(f"{base}/waits")
    page.locator("section.card", has_text="invoice-7").get_by_role("link").click()
    arguments = page.get_by_label("approve_with")
    assert '"euros": 250' in arguments.input_value(), arguments.input_value()
    arguments.fill('{"invoice": "invoice-7", "euros": 100}')
    expect(page.locator("input[value=approve_with]")).to_be_checked()
    page.get_by_role("button", name="Answer").click()
    expect(watching.locator("h1 .completed")).to_be_visible(timeout=20_000)
    expect(watching.locator("dl").first).to_contain_text("100 € are paid for invoice-7")

    # By keyboard: the search box finds an execution by the beginning of its id.
    page.goto(base + "/")
    page.get_by_role("searchbox").focus()
    page.keyboard.type("order-1")
    page.keyboard.press("Enter")
    expect(page.locator("table")).to_contain_text("order/order-1")
    page.get_by_role("link", name="order/order-1").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Yes").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1 .completed")).to_be_visible(timeout=20_000)

    # One box finds an execution by its error, and the flows lead to those that failed.
    page.goto(base + "/")
    page.get_by_role("searchbox").fill("12 are left")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Flows").click()
    page.locator("tr", has_text="order").first.get_by_role("link", name="failed").click()
    expect(page.locator("h1")).to_contain_text("of order")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Health").click()
    expect(page.locator("h1")).to_have_text("Health")

    # A link to a record leads there.
    page.goto(f"{base}/e/order/order-1#r1")
    expect(page.locator("tr:target")).to_contain_text("reserve")
    assert not complaints, complaints
    browser.close()
