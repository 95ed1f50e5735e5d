// Every page: no violation that axe finds, nothing wider than a small screen, all of it by keyboard.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { accessible, browse, demo, fits, shot, signIn, visitor } from "./browser.mjs";

let schakel, browser;
before(async () => { [schakel, browser] = await Promise.all([demo("walk"), browse()]); });
after(async () => { await browser?.close(); await schakel?.stop(); });

const pages = [
  ["overzicht", "/"],
  ["ontwerpen", "/ontwerpen"],
  ["beleid", "/beleid"],
  ["bestand", "/beleid/bestand?pad=schakel/law/participatie.rego"],
  ["matrix-leeg", "/matrix"],
  ["catalogus", "/catalogus"],
  ["afspraken", "/afspraken"],
  ["noodstop", "/noodstop"],
  ["geschiedenis", "/geschiedenis"],
  ["toegankelijkheid", "/toegankelijkheid"],
  ["fout", "/bestaat-niet"],
];

// look takes a page through it all: axe wide and narrow, and nothing too wide on a small screen or at 200 per cent.
async function look(page, name) {
  await page.setViewportSize({ width: 1280, height: 900 });
  assert.equal(await page.locator("h1").count(), 1, `one h1 on ${name}`);
  await accessible(page);
  await shot(page, name);
  await page.setViewportSize({ width: 640, height: 450 }); // what 1280 by 900 leaves at 200 per cent
  await fits(page);
  await page.setViewportSize({ width: 320, height: 640 });
  await fits(page);
  await shot(page, `${name}-320`);
  await page.setViewportSize({ width: 1280, height: 900 });
}

test("every page: axe finds nothing, and it fits a small screen and 200 per cent", async () => {
  const page = await visitor(browser, schakel.url);
  await page.goto("/aanmelden");
  await look(page, "aanmelden");
  await signIn(page, "Privacy officer 1");
  for (const [name, path] of pages) {
    await page.goto(path);
    await look(page, name);
  }
  await page.goto("/");
  await page.getByRole("button", { name: "English" }).click();
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  await accessible(page);
  await page.getByRole("button", { name: "Nederlands" }).click();
  assert.equal(await page.locator("html").getAttribute("lang"), "nl");
  assert.deepEqual(page.faults, []);
});

test("the editor: findings while typing, undo, completion, layout, two windows", async () => {
  const page = await visitor(browser, schakel.url);
  await signIn(page, "Privacy officer 1");
  await page.goto("/ontwerpen");
  await page.getByLabel("Titel").fill("Leeftijden van kinderen alleen als klasse");
  await page.getByRole("button", { name: "Ontwerp maken" }).click();
  await page.waitForURL(/ontwerpen\/[a-z0-9]+$/);
  const draft = new URL(page.url()).pathname;
  await look(page, "ontwerp-nieuw");
  await page.goto(`${draft}/bestand?pad=schakel/law/participatie.rego`);
  const area = page.locator("textarea");
  const before = await area.inputValue();
  const typo = before.indexOf('"kindregeling"') + 3; // between the quotes
  await area.evaluate((e, at) => { e.focus(); e.setSelectionRange(at, at); }, typo);
  await page.keyboard.type("x");
  await page.locator(".view li.fault").waitFor();
  assert.match(await page.locator("[data-findings]").innerText(), /kxindregeling|kix?ndregeling|kindregeling/);
  await look(page, "editor-melding");
  await page.locator("[data-findings] button").first().click();
  assert.equal(await page.evaluate(() => document.activeElement.id), "inhoud");
  await page.keyboard.press("Control+z");
  assert.equal(await area.inputValue(), before, "one undo takes one letter back");
  await page.locator(".view li.fault").waitFor({ state: "detached" });

  await area.evaluate((e) => { const at = e.value.indexOf('"kindregeling"') + 1; e.focus(); e.setSelectionRange(at, at + "kindregeling".length); });
  await page.keyboard.type("schuldhulp-t");
  await page.getByRole("option").first().waitFor();
  assert.match(await page.getByRole("option").first().innerText(), /schuldhulp-toegang/);
  await accessible(page);
  await shot(page, "editor-aanvullen");
  await page.keyboard.press("Enter");
  assert.ok((await area.inputValue()).includes('"schuldhulp-toegang"'));

  await area.fill(before.replace("input.role ==", "input.role   =="));
  await page.getByRole("button", { name: "Opmaken" }).click();
  await page.waitForFunction((want) => document.querySelector("textarea").value === want, before);
  await page.keyboard.press("Control+z");
  assert.ok((await area.inputValue()).includes("input.role   =="), "layout is one step of undo");

  // Another window kept something meanwhile: nothing is overwritten.
  const other = await page.context().newPage();
  await other.goto(page.url());
  await other.locator("textarea").fill(`# een\n${before}`);
  await other.getByRole("button", { name: "Bewaren" }).click();
  await other.getByText("Bewaard").waitFor();
  await page.getByRole("button", { name: "Bewaren" }).click();
  await page.getByText("in een ander venster gewijzigd").waitFor();
  await other.goto(draft);
  await look(other, "ontwerp-gewijzigd");
  assert.deepEqual(page.faults, []);

  // A colleague reads it and can't change it.
  const colleague = await visitor(browser, schakel.url);
  await signIn(colleague, "Privacy officer 2");
  await colleague.goto(`${draft}/bestand?pad=schakel/law/participatie.rego`);
  assert.equal(await colleague.locator("textarea").count(), 0);
  await colleague.getByText("van een collega").waitFor();
});

test("a check goes on while nobody looks, tells how far it is, and can be stopped", async () => {
  const page = await visitor(browser, schakel.url);
  await signIn(page, "Privacy officer 1");
  await page.goto("/ontwerpen");
  await page.getByRole("link", { name: "Leeftijden van kinderen" }).click();
  await page.getByRole("button", { name: "Toets dit ontwerp" }).click();
  await page.locator("[data-progress-text]", { hasText: /Vraag|Klaar/ }).waitFor();
  await page.locator(".story").waitFor();
  const address = page.url();
  await page.goto("/");
  await page.goto(address);
  await page.locator(".story .tag").first().waitFor({ timeout: 60_000 });
  await look(page, "ontwerp-antwoorden");
  await page.getByRole("button", { name: "Stop de toets" }).click();
  await page.getByRole("button", { name: "Toets opnieuw" }).waitFor();
  assert.deepEqual(page.faults, []);
});

test("the matrix: worked out while one waits, one role and purpose at a time, and as files", async () => {
  const page = await visitor(browser, schakel.url);
  await signIn(page, "Functionaris gegevensbescherming");
  await page.goto("/matrix");
  await page.getByRole("button", { name: "Reken de matrix uit" }).click();
  await page.getByRole("heading", { name: "Krijgt niemand" }).waitFor({ timeout: 120_000 });
  await look(page, "matrix");
  await page.locator("main ul.rows a").first().click();
  await page.locator("section.way").first().waitFor();
  await look(page, "matrix-rol");
  const csv = await page.request.get("/matrix/bestand?vorm=csv");
  assert.match(csv.headers()["content-disposition"], /\.csv/);
  assert.ok((await csv.text()).split("\n").length > 100);
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
  await page.goto("/beleid/bestand?pad=schakel/law/wmo.rego");
  await page.getByRole("button", { name: "Wijzigen in een nieuw ontwerp" }).click();
  await page.locator("textarea").fill("package kapot\n\nx := ");
  await page.getByRole("button", { name: "Bewaren" }).click();
  await page.getByText("Er zijn nog meldingen").waitFor();
  assert.match(await page.locator("main").innerText(), /Regel \d/);
});
