// Every page: no violation that axe finds, nothing wider than a small screen, all of it by keyboard.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { accessible, browse, demo, fits, shot, signIn, visitor } from "./browser.mjs";

let schakel, browser;
before(async () => { [schakel, browser] = await Promise.all([demo("walk"), browse()]); });
after(async () => { await browser?.close(); await schakel?.stop(); });

const pages = [
  ["overzicht", "/"],
  ["beleid", "/beleid"],
  ["bestand", "/beleid/bestand?pad=schakel/law/wgs.rego"],
  ["catalogus", "/catalogus"],
  ["afspraken", "/afspraken"],
  ["toegankelijkheid", "/toegankelijkheid"],
  ["fout", "/bestaat-niet"],
];

test("axe finds nothing, wide and narrow and at 200 per cent, in Dutch and English", async () => {
  const page = await visitor(browser, schakel.url);
  await page.goto("/aanmelden");
  await accessible(page);
  await shot(page, "aanmelden");
  await signIn(page, "Privacy officer 1");
  for (const [name, path] of pages) {
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.goto(path);
    assert.equal(await page.locator("h1").count(), 1, `one h1 on ${path}`);
    await accessible(page);
    await shot(page, name);
    await page.setViewportSize({ width: 640, height: 450 }); // what 1280 by 900 leaves at 200 per cent
    await fits(page);
    await page.setViewportSize({ width: 320, height: 640 });
    await fits(page);
    await accessible(page);
    await shot(page, `${name}-320`);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.goto("/");
  await page.getByRole("button", { name: "English" }).click();
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  for (const [, path] of pages) {
    await page.goto(path);
    await accessible(page);
  }
  assert.deepEqual(page.faults, []);
});

test("by keyboard alone: skip link first, focus always to be seen, in the order of the page", async () => {
  const page = await visitor(browser, schakel.url);
  await signIn(page, "Privacy officer 1");
  await page.goto("/catalogus");
  await page.keyboard.press("Tab");
  assert.match(await page.evaluate(() => document.activeElement.textContent), /Naar de inhoud/);
  assert.ok(await page.evaluate(() => document.activeElement.getBoundingClientRect().top >= 0), "the skip link shows itself");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "inhoud");
  await page.goto("/");
  let last = -1;
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const e = document.activeElement;
      if (e === document.body) return null;
      const style = getComputedStyle(e);
      return { index: [...document.querySelectorAll("*")].indexOf(e), seen: style.outlineStyle !== "none" && style.outlineWidth !== "0px", name: e.textContent };
    });
    if (at === null) break;
    assert.ok(at.index > last, `focus went back at ${at.name}`);
    assert.ok(at.seen, `focus can't be seen on ${at.name}`);
    last = at.index;
  }
  assert.ok(last > 0);
});

test("without JavaScript every page is there", async () => {
  const page = await visitor(browser, schakel.url, { javaScriptEnabled: false });
  await signIn(page, "Jurist");
  for (const [, path] of pages) {
    await page.goto(path);
    assert.ok((await page.locator("main").innerText()).length > 20, path);
  }
});
