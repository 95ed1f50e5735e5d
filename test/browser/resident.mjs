// The residents' site: every page in both languages, on a small screen, by keyboard, and on paper.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { accessible, ask, look, schakel, shot, signIn, visitor } from "./browser.mjs";

// press goes on with the Tab key until something has the focus, which must be to be seen at every stop, and presses a key there.
async function press(page, target, key) {
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none", "the focus can be seen");
    if (await target.evaluate((e) => e === document.activeElement)) return page.keyboard.press(key);
  }
  assert.fail(`the Tab key does not reach ${target}`);
}

// answered reads a resident's message as an officer, holds back what is about them, and answers it.
async function answered(officer, number, own) {
  await signIn(officer, "Privacy officer 1");
  await officer.goto("/inwoners");
  assert.ok(!(await officer.content()).includes(own), "no BSN in the list");
  await look(officer, "inwoners");
  await officer.getByLabel("Nummer").fill(number);
  await officer.getByLabel("Waarvoor kijkt u").selectOption("inzage");
  await officer.getByLabel("Op welke grond").fill("AVG 18, dossier 4");
  await officer.getByRole("button", { name: "Lees het bericht" }).click();
  await officer.getByText("Deel even niets over mij.").waitFor();
  await officer.getByRole("button", { name: "Zoek de ontvangers" }).click();
  await officer.getByRole("region", { name: "Ontvangers" }).waitFor();
  await officer.getByRole("button", { name: "Beperk de verwerking" }).click();
  await officer.getByRole("button", { name: "Hef de beperking op" }).waitFor();
  await look(officer, "inwoners-bericht", { languages: false });
  await officer.getByLabel("Uitkomst").selectOption("granted");
  await officer.getByLabel("Antwoord aan de inwoner").fill("Wij delen nu niets over u.");
  await officer.getByRole("button", { name: "Geef dit antwoord" }).click();
  await officer.getByText("Het antwoord staat op de pagina van de inwoner.").waitFor();
  assert.deepEqual(officer.faults, []);
}

// resident walks through the site of a demo as its first test person, whose household somebody asked about.
export async function resident({ data, url }, browser) {
  const { server, residents, cases } = JSON.parse(readFileSync(join(data, "demo.json"), "utf8"));
  const own = cases.find((c) => c.id === "zaak-001");
  await ask({ data, servers: [server] }, server, own.id, own.workers[0], "wijkteammedewerker", "ontruiming-voorkomen", "huur.achterstand,contact.telefoonnummer,ggz");
  const page = await visitor(browser, residents);
  await page.goto("/");
  await look(page, "inwoner-aanmelden", { languages: false });
  await press(page, page.getByRole("radio").first(), "Space");
  await press(page, page.getByRole("button", { name: "Inloggen" }), "Enter");
  await page.getByRole("button", { name: "Maak het overzicht" }).waitFor();
  await look(page, "inwoner-begin", { languages: false });
  await press(page, page.getByRole("button", { name: "Maak het overzicht" }), "Enter");
  await page.getByText("In dit overzicht staat één opvraging.").waitFor();
  assert.ok(!(await page.content()).includes(own.bsns[0]), "no BSN on the page");
  await look(page, "inwoner-overzicht");

  await page.emulateMedia({ media: "print" }); // as it comes out of a printer: what is read, and nothing to press
  await page.setViewportSize({ width: 680, height: 960 });
  for (const gone of ["header", "footer", "form", "button", ".actions"]) assert.equal(await page.locator(`${gone}:visible`).count(), 0, `${gone} on paper`);
  assert.equal(await page.getByText("Nummer").first().isVisible(), true);
  await shot(page, "inwoner-overzicht-papier");
  await page.emulateMedia({ media: "screen" });
  await page.setViewportSize({ width: 1280, height: 900 });

  await press(page, page.getByRole("link", { name: "Vraag of meld iets over deze opvraging" }), "Enter");
  await page.getByText("Uw bericht gaat over de opvraging van").waitFor();
  await look(page, "inwoner-bericht");
  await page.locator("form.stack").evaluate((form) => { form.noValidate = true; }); // the server looks too
  await press(page, page.getByRole("button", { name: "Versturen" }), "Enter");
  await page.getByRole("heading", { name: "U bent nog niet klaar" }).waitFor();
  await accessible(page);
  await shot(page, "inwoner-bericht-fout");
  await press(page, page.getByRole("link", { name: "Kies wat u wilt." }), "Enter");
  await page.keyboard.press("Space"); // the link leads to the first choice, and the arrows to the next
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.getByRole("radio", { name: /even niet/ }).isChecked(), true);
  await press(page, page.getByRole("textbox"), "End");
  await page.keyboard.type("Deel even niets over mij.");
  await press(page, page.getByRole("button", { name: "Versturen" }), "Enter");
  await page.getByText("Wij hebben uw bericht gekregen.").waitFor();

  const [{ id }] = JSON.parse(await schakel("resident", "request", "list", "--data", data, "--json"));
  await answered(await visitor(browser, url), id, own.bsns[0]);
  await page.goto("/verzoeken");
  await page.getByText("geven wij via Schakel geen gegevens over u").waitFor();
  await page.getByText("Wij delen nu niets over u.").waitFor();
  await look(page, "inwoner-berichten", { languages: false });
  await page.goto("/toegankelijkheid");
  await look(page, "inwoner-toegankelijkheid", { languages: false });
  assert.deepEqual(page.faults, []);
}
