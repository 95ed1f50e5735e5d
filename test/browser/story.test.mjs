// The story of one change: drafted, checked, refused where a test is red, submitted, not to be approved by its author,
// approved by a colleague, activated, and back again.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { accessible, browse, demo, fits, shot, signIn, visitor } from "./browser.mjs";

let schakel, browser;
before(async () => { [schakel, browser] = await Promise.all([demo("story"), browse()]); });
after(async () => { await browser?.close(); await schakel?.stop(); });
const slow = { timeout: 240_000 };

async function look(page, name) {
  await accessible(page);
  await shot(page, name);
  await page.setViewportSize({ width: 320, height: 640 });
  await fits(page);
  await shot(page, `${name}-320`);
  await page.setViewportSize({ width: 1280, height: 900 });
}

async function edit(page, draft, path, change) {
  await page.goto(`${draft}/bestand?pad=${path}`);
  const area = page.locator("textarea");
  const before = await area.inputValue();
  const after = change(before);
  assert.notEqual(after, before, `the change of ${path} changes something`);
  await area.fill(after);
  await page.getByRole("button", { name: "Bewaren" }).click();
  await page.getByText("Bewaard").waitFor();
}

async function check(page, draft) {
  await page.goto(draft);
  await page.getByRole("button", { name: /Toets dit ontwerp|Toets opnieuw/ }).click();
  await page.locator("[data-progress]").waitFor();
  await page.locator("[data-progress]").waitFor({ state: "detached", ...slow });
  await page.locator(".story").waitFor();
}

const live = async (page) => { await page.goto("/"); return page.locator(".card .mono").first().getAttribute("title"); };

test("a change from draft to live, and back", async () => {
  const author = await visitor(browser, schakel.url);
  const colleague = await visitor(browser, schakel.url);
  await signIn(author, "Privacy officer 1");
  await signIn(colleague, "Privacy officer 2");
  const first = await live(author);

  await author.goto("/ontwerpen");
  await author.getByLabel("Titel").fill("Kindregeling: geen gegevens over het huishouden meer");
  await author.getByRole("button", { name: "Ontwerp maken" }).click();
  await author.waitForURL(/ontwerpen\/[a-z0-9]+$/);
  const draft = new URL(author.url()).pathname;

  // A red test: the rule changes and its test does not know.
  const rule = "schakel/law/participatie.rego";
  const narrower = (text) => text.replace('input.field.domain in {"huishouden", "inkomen"}', 'input.field.domain == "inkomen"');
  const wider = (text) => text.replace('input.field.domain == "inkomen"', 'input.field.domain in {"huishouden", "inkomen"}');
  await edit(author, draft, rule, narrower);
  await author.goto(draft);
  await author.getByRole("button", { name: "Toets dit ontwerp" }).click();
  await author.getByRole("heading", { name: "Testen die niet slagen" }).waitFor(slow);
  assert.equal(await author.getByRole("button", { name: "Dien dit ontwerp in" }).count(), 0, "a red test blocks");
  await author.getByRole("rowheader", { name: "huishouden.minderjarigenAanwezig" }).first().waitFor(slow);
  await author.getByRole("button", { name: "Stop de toets" }).click();
  await author.getByRole("button", { name: "Toets opnieuw" }).waitFor();
  await look(author, "ontwerp-rode-test");

  // Mended: only the words of a reason change.
  await edit(author, draft, rule, wider);
  await edit(author, draft, "schakel/catalog/reasons/data.json", (text) => text.replace("Wij kennen uw rol niet.", "Uw rol is niet bekend."));
  await check(author, draft);
  await author.getByText("in geen enkele combinatie krijgt iemand iets anders").waitFor();
  await look(author, "ontwerp-goed");
  await author.getByRole("button", { name: "Dien dit ontwerp in" }).click();
  await author.waitForURL(/voorstel\/1$/);
  await author.getByText("u kunt uw eigen voorstel niet goedkeuren").waitFor();
  assert.equal(await author.getByRole("button", { name: "Keur dit voorstel goed" }).count(), 0);

  // The author tries all the same, past the page: the register refuses.
  const forged = await author.evaluate(async () => {
    const token = document.querySelector("input[name=token]").value;
    const revisie = document.querySelector("main code[title]").title;
    const answer = await fetch("/voorstel/1/goedkeuren", { method: "POST", body: new URLSearchParams({ token, revisie }) });
    return answer.status;
  });
  assert.equal(forged, 400, "an author can't approve");

  // A colleague finds it waiting, reads it and approves.
  await colleague.goto("/");
  await colleague.getByRole("link", { name: /Beoordelen/ }).click();
  await look(colleague, "voorstel");
  await colleague.getByRole("button", { name: "Keur dit voorstel goed" }).click();
  await colleague.getByText("U hebt dit voorstel goedgekeurd").waitFor();
  await look(colleague, "voorstel-goedgekeurd");
  await colleague.getByRole("button", { name: "Activeer" }).click();
  await colleague.getByText("Dit beleid geldt nu").waitFor(slow);
  const second = await live(author);
  assert.notEqual(second, first);
  await author.reload();
  await author.locator("td .tag-ok", { hasText: "goed" }).waitFor(slow);
  await look(author, "overzicht-nieuw-beleid");

  // The way back is a draft of the earlier revision.
  await author.goto("/geschiedenis");
  await look(author, "geschiedenis-twee");
  await author.getByRole("button", { name: "Maak een ontwerp om hiernaar terug te gaan" }).click();
  await author.getByText("Wij kennen uw rol niet").first().waitFor();

  // The emergency stop.
  await colleague.goto("/noodstop");
  await colleague.getByLabel("Reden").fill("Oefening");
  await colleague.getByLabel("Ik leg alle verstrekkingen stil").check();
  await colleague.getByRole("button", { name: "Leg alles stil" }).click();
  await colleague.getByText("Noodstop: alles wordt geweigerd").waitFor(slow);
  await look(colleague, "noodstop-aan");
  assert.deepEqual([author.faults, colleague.faults], [[], []]);
});
