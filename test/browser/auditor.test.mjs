// The auditor's pages: what professionals asked is found, proved, decided again and explained; and who looked stands in the log.
import { after, before, test } from "node:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import assert from "node:assert/strict";
import { browse, demo, look, schakel, signIn, soon, visitor } from "./browser.mjs";

let place, browser;
before(async () => { [place, browser] = await Promise.all([demo("auditor"), browse()]); });
after(async () => { await browser?.close(); await place?.stop(); });

// ask asks for fields of a case of the example, as a worker on it.
async function ask(one, role, fields) {
  const { agencies } = JSON.parse(readFileSync(join(place.data, "demo.json"), "utf8"));
  const args = ["ask", "--data", place.data, "--json", "--agency", agencies.find((a) => a.kind === "gemeente").oin, "--worker", one.workers[0], "--role", role,
    "--purpose", "ontruiming-voorkomen", "--household", `case:${one.id}`, "--fields", fields];
  for (const end = Date.now() + soon; ;) {
    try {
      return JSON.parse(await schakel(...args));
    } catch (e) {
      if (Date.now() > end || !/\(503 /.test(e.message)) throw e;
      await new Promise((r) => setTimeout(r, 500));
    }
  }
}

const search = async (page, question) => {
  await page.goto("/logboek");
  await page.getByLabel("Wat zoekt u").fill(question);
  await page.getByLabel("Waarvoor kijkt u").selectOption("controle op het gebruik");
  await page.getByLabel("Op welke grond").fill("AVG 39, dossier 7");
  await page.getByRole("button", { name: "Zoek", exact: true }).click();
  await page.locator("#gevonden").waitFor();
};

// What is kept for a session only is looked at in Dutch: choosing a language is no step of it. A Go test reads both.
const dutch = { languages: false };

test("an auditor finds a disclosure, proves it, has it decided again, and sees why", async () => {
  const [first, second] = JSON.parse(readFileSync(join(place.data, "demo.json"), "utf8")).cases.filter((c) => c.id.startsWith("zaak"));
  const given = (await ask(first, "wijkteammedewerker", "persoon.leeftijd,ggz.behandelaar.contact")).answer;
  await ask(second, "wijkteammedewerker", "persoon.leeftijd");
  for (let i = 0; i < 6; i++) await ask({ id: second.id, workers: ["vreemde"] }, "wijkteammedewerker", "persoon.leeftijd"); // nobody of theirs

  const page = await visitor(browser, place.url);
  await signIn(page, "Auditor");
  const rows = page.locator("tbody tr");
  for (const end = Date.now() + soon; Date.now() < end;) { // the index follows the log
    await search(page, `zaak:${first.id}`);
    if (await rows.count()) break;
    await new Promise((r) => setTimeout(r, 250));
  }
  assert.equal(await rows.count(), 1);
  assert.ok(!page.url().includes(first.id), "nothing sought in the address");
  assert.match(await rows.innerText(), new RegExp(`${first.workers[0]}[^]*wijkteammedewerker[^]*${first.id}[^]*deels verstrekt`));
  await look(page, "logboek-gevonden", dutch);
  await search(page, `-zaak:${first.id} besluit:verstrekt`);
  assert.match(await rows.innerText(), new RegExp(second.id));
  await search(page, `besluit:${given.id}`);

  await rows.first().getByRole("button").click();
  await page.getByText(given.id).waitFor();
  await page.locator("[data-progress]").waitFor({ state: "detached" });
  assert.match(await page.locator("main").innerText(), /Deze regel kwam het dichtst bij/);
  await page.getByRole("button", { name: "Bewijs het" }).click();
  await page.locator("#bewijs + p .tag-ok", { hasText: "bewezen" }).waitFor();
  await page.getByText("Uw browser heeft het nagerekend: het klopt.").waitFor();
  const command = await page.locator("code", { hasText: "schakel verify" }).innerText();
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Bewaar het bewijs" }).click()]);
  assert.match(await schakel("verify", await file.path(), "--log-key", command.match(/--log-key '([^']+)'/)[1]), /^verified: /);
  await page.getByRole("button", { name: "Beslis opnieuw" }).click();
  await page.getByText("byte voor byte gelijk").waitFor();
  await look(page, "gebeurtenis", dutch);

  await page.getByRole("button", { name: "Tijdlijn van deze zaak" }).click();
  await page.getByText("De zaak is geopend.").waitFor();
  assert.equal(await page.locator(".timeline .tag-warn", { hasText: "deels verstrekt" }).count(), 1);
  await look(page, "tijdlijn", dutch);

  await page.goto("/inzagen");
  await page.getByRole("button", { name: "Weeg de inzagen" }).click();
  const list = page.locator("ul.rows > li").filter({ hasText: "vreemde" });
  await list.first().waitFor();
  await list.first().locator("summary").click();
  await list.first().getByLabel("Uitkomst").selectOption("misbruik");
  await list.first().getByLabel("Toelichting").selectOption("gemeld als datalek");
  await list.first().getByRole("button", { name: "Leg de beoordeling vast" }).click();
  await page.getByText("De beoordeling staat in het logboek.").waitFor();
  assert.match(await list.first().innerText(), /Beoordeeld: misbruik, gemeld als datalek. auditor-1/);
  await look(page, "inzagen", dutch);

  await page.goto("/integriteit");
  await page.getByRole("button", { name: "Controleer het hele logboek" }).click();
  await page.locator(".card .tag-ok", { hasText: "heel" }).waitFor();
  await look(page, "integriteit");
  assert.deepEqual(page.faults, []);

  const log = await schakel("audit", "log", "--data", place.data, "--officer", "auditor-1", "--purpose", "controle", "--ground", "AVG 32, steekproef");
  assert.equal(log.match(/how="console zoeken".* ground="AVG 39, dossier 7"/g).length >= 3, true);
  assert.equal(log.match(/how="console gebeurtenis" worker="auditor-1" purpose="controle"/g).length, 1);
  assert.match(log, /how="audit looks review: misuse\/reported" worker="auditor-1" purpose="controle" ground="AVG 39, dossier 7"/);
});
