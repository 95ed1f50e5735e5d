// Every page: no violation that axe finds, nothing wider than a small screen, all of it by keyboard.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { resident } from "./resident.mjs";
import { accessible, answer, browse, check, demo, edit, forge, glance, keep, look, makeDraft, shot, signIn, visitor } from "./browser.mjs";

let schakel, browser;
before(async () => { [schakel, browser] = await Promise.all([demo("walk"), browse()]); });
after(async () => { await browser?.close(); await schakel?.stop(); });

const pages = [
  ["overzicht", "/"],
  ["ontwerpen", "/ontwerpen"],
  ["beleid", "/beleid"],
  ["bestand", "/beleid/bestand?pad=schakel/law/participatie.rego"],
  ["matrix-leeg", "/matrix"],
  ["waarom", "/waarom"],
  ["catalogus", "/catalogus"],
  ["afspraken", "/afspraken"],
  ["noodstop", "/noodstop"],
  ["geschiedenis", "/geschiedenis"],
  ["toegankelijkheid", "/toegankelijkheid"],
  ["fout", "/bestaat-niet"],
];

test("every page: axe finds nothing, and it fits a small screen and 200 per cent", async () => {
  const page = await visitor(browser, schakel.url);
  await page.goto("/aanmelden");
  await look(page, "aanmelden");
  await signIn(page, "Privacy officer 1");
  for (const [name, path] of pages) {
    await page.goto(path);
    await look(page, name);
  }
  assert.deepEqual(page.faults, []);
});

test("the editor: findings while typing, undo, completion, layout, two windows", async () => {
  const page = await visitor(browser, schakel.url);
  await signIn(page, "Privacy officer 1");
  const draft = await makeDraft(page, "Een regel voor schuldhulp");
  await glance(page, "ontwerp-nieuw");
  await page.goto(`${draft}/bestand?pad=schakel/law/participatie.rego`);
  const area = page.locator("textarea");
  const before = await area.inputValue();
  const typo = before.indexOf('"kindregeling"') + 3; // between the quotes
  await area.evaluate((e, at) => { e.focus(); e.setSelectionRange(at, at); }, typo);
  await page.keyboard.type("x");
  await page.locator(".view li.fault").waitFor();
  assert.match(await page.locator("[data-findings]").innerText(), /kxindregeling|kix?ndregeling|kindregeling/);
  await look(page, "editor-melding", { languages: false }); // what is typed would be lost
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
  await keep(other);
  await keep(page);
  await page.getByText("in een ander venster gewijzigd").waitFor();
  await other.goto(draft);
  await glance(other, "ontwerp-gewijzigd");
  assert.deepEqual(page.faults, []);

  // A colleague reads it and can't change it.
  const colleague = await visitor(browser, schakel.url);
  await signIn(colleague, "Privacy officer 2");
  await colleague.goto(`${draft}/bestand?pad=schakel/law/participatie.rego`);
  assert.equal(await colleague.locator("textarea").count(), 0);
  await colleague.getByText("van een collega").waitFor();
});

test("a check goes on while nobody looks; a broken guardrail shows a query, and blocks", async () => {
  const page = await visitor(browser, schakel.url);
  await signIn(page, "Privacy officer 1");
  const draft = await makeDraft(page, "Jeugdhulp zonder instemming voor de leerplicht");
  await edit(page, draft, "schakel/law/leerplicht.rego", (text) => text.replace('"give": "contact-on-release"', '"give": "contact"'));
  await edit(page, draft, "schakel/law/leerplicht_schoolverzuim_test.rego", // whose tests say that release is asked
    (text) => text.replace(/test_schoolverzuim_(needs_consent|takes_no_consent|not_at_age).*\n[^}]*\}\}\)\n\n/g, ""));
  await check(page, draft);
  await page.locator("[data-progress-text]", { hasText: /Vraag \d van 7/ }).waitFor();
  await page.goto("/catalogus");
  await page.goto(draft);
  await page.locator("[data-progress]").waitFor({ state: "detached" });
  assert.match(await answer(page, "Klopt het?").innerText(), /goed Niets gevonden/);
  assert.match(await answer(page, "Is het getest?").innerText(), /^goed [^]*^goed /m);
  const rails = answer(page, "Blijven de vangrails heel?");
  assert.match(await rails.innerText(), /niet goed 1 keer gebroken. Zo kan dit ontwerp niet worden ingediend/);
  await rails.locator("summary").click();
  const shown = JSON.parse(await rails.locator("details code").innerText());
  assert.deepEqual([shown.role, shown.purpose, shown.fields, shown.subject.release], ["leerplichtambtenaar", "schoolverzuim-aanpak", ["jeugd.aanbieder.contact"], []]);
  assert.equal(await page.getByRole("button", { name: "Dien dit ontwerp in" }).count(), 0);
  assert.match(await forge(page, `${draft}/indienen`), /^400 [^]*iets in de weg/, "nor past the page");
  await look(page, "ontwerp-vangrail");
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

test("a resident sees who asked, keeps it on paper, and asks what they want by keyboard alone", () => resident(schakel, browser));
