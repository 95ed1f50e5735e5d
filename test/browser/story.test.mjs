// The life of a change, on two gateways: made, checked, approved, in force, taken back; and everything stopped.
import { after, before, test } from "node:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import assert from "node:assert/strict";
import { answer, ask, browse, check, edit, forge, glance, look, makeDraft, schakel, soon, stopCheck, visitor } from "./browser.mjs";
import { deployment, signInAtProvider } from "./deployment.mjs";

let place, browser, author, colleague, plain;
before(async () => {
  browser = await browse(); // first: what is open is closed, whatever fails
  place = await deployment("gemeente");
  const options = { ignoreHTTPSErrors: true };
  author = await visitor(browser, place.url, options);
  colleague = await visitor(browser, place.url, options);
  plain = await visitor(browser, place.url, { ...options, javaScriptEnabled: false }); // the colleague, without JavaScript
  await signInAtProvider(author, "Privacy officer 1");
  await signInAtProvider(colleague, "Privacy officer 2");
  await signInAtProvider(plain, "Privacy officer 2");
});
after(async () => { await browser?.close(); await place?.stop(); });

const rules = "schakel/law/wgs.rego";
const children = "schakel/law/wgs_kinderleeftijd_test.rego";

// The rule as an author writes it: first of everybody, then of children.
const row = `
# METADATA
# title: Ontruiming voorkomen, leeftijd van kinderen – Preventing an eviction, age of children
# description: |
#   NL: Van een kind alleen de leeftijdsgroep.
#   EN: Of a child the age band only.
# custom:
#   basis: Wgs 3, 8; AVG 5(1)c
rows contains {"give": "limited", "basis": "wgs-8", "mandate": "wgs"} if {
	input.role in {"wijkteammedewerker", "casusregisseur"}
	input.purpose == "ontruiming-voorkomen"
	child_age
}

# METADATA
# title: De leeftijd van een kind – The age of a child
# description: |
#   NL: Wie jonger is dan achttien.
#   EN: Whoever is younger than eighteen.
# custom:
#   basis: AVG 5(1)c
child_age if {
	input.field.path == "persoon.leeftijd"
}
`;
const bands = (text) => text.replace('in {"persoon", "contact", "huur"}\n\tnot input.field.path in data.schakel.settings.groups.gezag\n',
  (found) => `${found}\tnot child_age\n`) + row;
const childrenOnly = (text) => text.replace('input.field.path == "persoon.leeftijd"\n', (found) => `${found}\tinput.subject.age in {"0-11", "12-15", "16-17"}\n`);
const childrenTest = `package schakel.law.wgs_kinderleeftijd_test

import data.schakel.testing

# In welke vorm iemand van deze leeftijd wordt gegeven – In which form someone of this age is given.
form(role, age) := testing.decision(testing.changed(
	testing.asked(role, "ontruiming-voorkomen", "gemeente"),
	{"subject": {"age": age}, "fields": {"persoon.leeftijd"}},
)).grants["persoon.leeftijd"].form

test_children_as_a_band if {
	every role in {"wijkteammedewerker", "casusregisseur"} {
		every age in {"0-11", "12-15", "16-17"} {
			form(role, age) == "age-band"
		}
	}
}

test_others_exactly if {
	every age in {"18+", "unknown"} {
		form("wijkteammedewerker", age) == "exact"
	}
}
`;

// families asks the ages in some cases of the example, of one gateway after the other.
async function families(cases) {
  const out = [];
  for (const [i, c] of cases.entries()) {
    const a = await ages(place.servers[i % 2], c);
    out.push({ ...c, tries: a.tries, revision: a.policy.revision, ages: a.persons.map((p) => p.persoon.leeftijd), forms: a.granted.map((g) => g.form) });
  }
  return out;
}
const ages = (server, { id, workers }) => ask(place, server, id, workers[0], "wijkteammedewerker", "ontruiming-voorkomen", "persoon.leeftijd");
const sorted = (family) => family.ages.map(String).sort();
const young = (family) => family.ages.some((age) => age !== null && age < 18);
const cases = () => JSON.parse(readFileSync(join(place.data, "demo.json"), "utf8")).cases.filter((c) => c.id.startsWith("zaak")).slice(0, 15);
const live = async (page) => { await page.goto("/"); return page.locator(".card .mono").first().getAttribute("title"); };

// tabTo goes on with the Tab key until something has the focus, which must be to be seen at every stop.
async function tabTo(page, target) {
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(outline, "none", "the focus can be seen");
    if (await target.evaluate((e) => e === document.activeElement)) return;
  }
  assert.fail(`the Tab key does not reach ${target}`);
}

let first, second, withChildren, other;

// step is a test that stands on those before it: where one of them failed it fails at once.
let failed = "";
const step = (name, f) => test(name, async () => {
  if (failed) throw `after: ${failed}`;
  failed = name;
  await f();
  failed = "";
});

step("children's ages as bands: a red test, mended; what no test reaches; the matrix; who notices", async () => {
  first = await live(author);
  const found = await families(cases());
  withChildren = found.filter(young);
  const [all, some, repeated] = [found.length, withChildren.length, found.reduce((sum, f) => sum + f.tries - 1, 0)];
  assert.ok(some >= 10 && some < all, `${some} of ${all} have children`);
  assert.ok(found.every((f) => f.revision === first && f.forms.every((form) => form === "exact")));
  other = await makeDraft(plain, "Een duidelijker reden"); // on the same base; more of it below
  await edit(plain, other, "schakel/catalog/reasons/data.json", (text) => text.replace("Wij kennen uw rol niet.", "Uw rol is hier niet bekend."));

  const draft = await makeDraft(author, "Leeftijden van kinderen alleen als klasse");
  await edit(author, draft, rules, bands);
  await check(author, draft);
  await author.getByRole("heading", { name: "Testen die niet slagen" }).waitFor();
  await author.getByText("test_wijkteam_ontruiming_gives_exactly").waitFor();
  assert.equal(await author.getByRole("button", { name: "Dien dit ontwerp in" }).count(), 0, "a red test blocks");
  await stopCheck(author);
  await glance(author, "ontwerp-rode-test");

  await edit(author, draft, rules, childrenOnly);
  await check(author, draft);
  await author.getByRole("heading", { name: "Regels zonder test" }).waitFor();
  await stopCheck(author);
  await author.goto(`${draft}/bestand?pad=${rules}`);
  assert.match(await author.locator("li.missed").first().innerText(), /rows contains \{"give": "limited"/);
  await glance(author, "editor-zonder-test");

  await edit(author, draft, children, () => childrenTest);
  await check(author, draft);
  await author.getByRole("button", { name: "Dien dit ontwerp in" }).waitFor();
  assert.match(await answer(author, "Is het getest?").innerText(), /Elke regel wordt door een test geraakt/);
  assert.match(await answer(author, "Wie krijgt wat?").innerText(), /Nagegaan in \d,\d × 10\S+ verschillende vragen: \d+ combinaties/);
  assert.match(await answer(author, "Wat verandert er?").innerText(), /^2 combinaties/m);
  assert.match(await answer(author, "Blijven de vangrails heel?").innerText(), /goed Alle \d+ vangrails/);
  const notice = answer(author, "Wie merkt het?");
  const [, replayed, requests, changed] = (await notice.innerText()).match(/(\d+) van (\d+) vastgelegde vragen zijn opnieuw beslist. Bij (\d+) verandert/).map(Number);
  assert.equal(replayed, requests);
  assert.ok(requests >= all && requests <= all + repeated && changed >= some && changed <= some + repeated, `${changed} of ${requests}, want ${some} of ${all}`);
  assert.deepEqual((await notice.locator("tbody code, tbody td").allInnerTexts()).slice(0, 4), ["persoon.leeftijd", "De waarde zelf", "Alleen de leeftijdsgroep", String(changed)]);
  await look(author, "ontwerp-goed");
  const why = await author.context().newPage();
  await why.goto(draft);
  await answer(why, "Wie merkt het?").getByRole("button", { name: "Leg deze vraag uit" }).click();
  await why.getByText("Deze regel gaf het").waitFor();
  assert.match(await why.locator("main").innerText(), /Ontruiming voorkomen, leeftijd van kinderen/);
  await look(why, "waarom-uitleg");
  await why.close();
  await author.getByRole("button", { name: "Dien dit ontwerp in" }).click();
  await author.waitForURL(/voorstel\/1$/);
});

// recount has a proposal worked out again, and waits until it is what its reports say.
async function recount(page) {
  await page.getByRole("button", { name: "Reken dit voorstel na" }).click();
  await page.locator("#nagerekend + p .tag-ok", { hasText: "klopt" }).waitFor();
  await page.locator("[data-progress]").waitFor({ state: "detached" });
}

step("an author can't approve", async () => {
  await author.getByText("u kunt uw eigen voorstel niet goedkeuren").waitFor();
  second = await author.locator("main code[title]").first().getAttribute("title");
  await recount(author);
  assert.equal(await author.getByRole("button", { name: "Keur dit voorstel goed" }).count(), 0);
  assert.match(await forge(author, "/voorstel/1/goedkeuren", { revisie: second }), /^4\d\d [^]*vraag een collega/, "nor past the page");
});

step("a colleague approves, by keyboard; an altered bundle is refused, and the last good one serves on", async () => {
  await colleague.goto("/");
  await tabTo(colleague, colleague.getByRole("link", { name: /Beoordelen/ }));
  await colleague.keyboard.press("Enter");
  await colleague.waitForURL(/voorstel\/1$/);
  await look(colleague, "voorstel");
  await tabTo(colleague, colleague.getByRole("button", { name: "Keur dit voorstel goed" }));
  place.gateways[1].signal("SIGSTOP"); // it is yet to compile what is approved now
  await colleague.keyboard.press("Enter");
  await colleague.getByText("U hebt dit voorstel goedgekeurd").waitFor();
  const putBack = place.alter(second, '{"0-11", "12-15", "16-17"}', '{"9-11", "12-15", "16-17"}'); // it compiles, and gives the ages of the youngest
  place.gateways[1].signal("SIGCONT");
  await glance(colleague, "voorstel-goedgekeurd");
  await place.gateways[1].says(/approved revision refused/);
  await author.goto("/");
  const refused = author.getByRole("row", { name: /^gw2/ });
  for (let i = 0; !(await refused.innerText()).includes(`revision ${second.slice(0, 12)}`) && i < 40; i++) await author.reload();
  assert.match(await refused.innerText(), new RegExp(`${first.slice(0, 12)}[^]*revision ${second.slice(0, 12)}: .*wgs.rego.*digest`));
  await look(author, "overzicht-bundel-geweigerd");
  await colleague.getByRole("button", { name: "Activeer" }).click();
  await colleague.locator("h1").waitFor();
  assert.equal(await live(author), first);
  for (const server of place.servers) {
    const a = await ages(server, withChildren[0]);
    assert.equal(a.policy.revision, first);
  }
  putBack();
});

step("both gateways serve it, and the next answer shows it", async () => {
  await colleague.goto("/voorstel/1");
  await colleague.getByRole("button", { name: "Activeer" }).click();
  await colleague.getByText("Dit beleid geldt nu").waitFor();
  assert.equal(await live(author), second);
  for (const name of ["gw1", "gw2"]) {
    const said = author.getByRole("row", { name: new RegExp(`^${name}`) });
    for (let i = 0; !(await said.innerText()).includes(second.slice(0, 12)) && i < 40; i++) await author.reload();
    assert.match(await said.innerText(), new RegExp(`${second.slice(0, 12)}\\s+goed`));
  }
  await glance(author, "overzicht-nieuw-beleid");
  for (const server of place.servers) {
    const family = withChildren[0];
    const a = await ages(server, family);
    assert.equal(a.policy.revision, second);
    const band = (age) => (age === null || age >= 18 ? age : age < 12 ? "0-11" : age < 16 ? "12-15" : "16-17");
    assert.deepEqual(a.persons.map((p) => String(p.persoon.leeftijd)).sort(), family.ages.map((age) => String(band(age))).sort());
  }
});

step("a draft of before must be put on what is in force now, and hears what changed underneath", async () => {
  await colleague.goto(other);
  await colleague.getByRole("heading", { name: "Het geldende beleid is intussen veranderd" }).waitFor();
  assert.deepEqual(await colleague.locator(".alert-warn li").allInnerTexts(), [rules, children]);
  assert.match(await forge(colleague, `${other}/indienen`), /^400 [^]*intussen veranderd/);
  await look(colleague, "ontwerp-achterhaald");
  await colleague.getByRole("button", { name: "Zet het ontwerp op het geldende beleid" }).click();
  await colleague.getByText("Het ontwerp staat nu op het geldende beleid").waitFor();
  assert.deepEqual(await colleague.locator("h3.mono").filter({ hasText: ".json" }).allInnerTexts(), ["schakel/catalog/reasons/data.json"]);
  assert.equal(await colleague.locator("main code[title]").first().getAttribute("title"), second);
});

step("the matrix of what is in force, for a supervisor who changes nothing", async () => {
  const fg = await visitor(browser, place.url, { ignoreHTTPSErrors: true });
  await signInAtProvider(fg, "Functionaris gegevensbescherming");
  await fg.goto("/matrix");
  await fg.getByRole("button", { name: "Reken de matrix uit" }).click();
  await fg.getByRole("heading", { name: "Krijgt niemand" }).waitFor();
  await look(fg, "matrix");
  await fg.goto("/matrix?rol=wijkteammedewerker&doel=ontruiming-voorkomen");
  const age = fg.locator("section.way").filter({ has: fg.getByText("Leeftijd", { exact: true }) });
  assert.deepEqual((await age.locator("dl dd:nth-of-type(1)").allInnerTexts()).sort(), ["Alleen de leeftijdsgroep", "De waarde zelf"]);
  await look(fg, "matrix-rol");
  const csv = await fg.request.get("/matrix/bestand?vorm=csv");
  assert.match(csv.headers()["content-disposition"], /\.csv/);
  assert.ok((await csv.text()).split("\n").length > 100);
  assert.equal(await fg.locator("form[action='/ontwerpen']").count(), 0);
  assert.deepEqual(fg.faults, []);
});

step("the way back, without JavaScript; it gives more, so the holder must agree; then the answer is as before", async () => {
  await plain.goto("/geschiedenis");
  await plain.getByRole("button", { name: "Maak een ontwerp om hiernaar terug te gaan" }).click();
  await plain.getByRole("button", { name: "Toets dit ontwerp" }).click();
  const submit = plain.getByRole("button", { name: "Dien dit ontwerp in" });
  for (const end = Date.now() + soon; !(await submit.count()) && Date.now() < end;) {
    await new Promise((r) => setTimeout(r, 1000));
    await plain.getByRole("link", { name: "Ververs" }).click({ timeout: 500 }).catch(() => {}); // gone once all is answered
  }
  await submit.click();
  await plain.waitForURL(/voorstel\/2$/);
  await author.goto("/voorstel/2");
  await recount(author);
  await author.getByRole("button", { name: "Keur dit voorstel goed" }).click();
  await author.getByText("U hebt dit voorstel goedgekeurd").waitFor();
  const holder = author.locator("#houders ~ ul.rows > li");
  assert.match(await holder.innerText(), /^wacht [^]*Leeftijd persoon.leeftijd/);
  assert.equal(await author.getByRole("button", { name: "Activeer" }).count(), 0);
  assert.match(await forge(author, "/voorstel/2/activeren"), /^4\d\d [^]*\d{20}/, "nor past the page");
  assert.equal(await live(author), second);
  await author.goto("/voorstel/2");
  await look(author, "voorstel-wacht-op-houder");

  // The holder signs elsewhere, with its own key; what it signed is handed in on the page.
  const oin = (await holder.locator("code").filter({ hasText: "--holder" }).textContent()).match(/\d{20}/)[0];
  const [proposal, statement] = ["voorstel.json", "verklaring.jws"].map((name) => join(place.data, name));
  writeFileSync(proposal, await schakel("policy", "status", "--draft", "2", "--json", "--data", place.data));
  await schakel("policy", "agree", "--proposal", proposal, "--holder", oin, "--key", join(place.data, "agencies", `${oin}.jwk`), "--out", statement);
  await author.getByLabel("Verklaring van een houder").setInputFiles(statement);
  await author.getByRole("button", { name: "Leg de instemming vast" }).click();
  await author.getByText("stemt in", { exact: true }).waitFor();
  assert.match(await holder.innerText(), /^stemt in/);
  await author.getByRole("button", { name: "Activeer" }).click();
  await author.getByText("Dit beleid geldt nu").waitFor();
  assert.equal(await live(author), first);
  const now = await families(withChildren.slice(0, 2));
  assert.deepEqual(now.map(sorted), withChildren.slice(0, 2).map(sorted));
  await author.goto("/geschiedenis");
  await look(author, "geschiedenis");
});

step("the emergency stop is loud, and every gateway refuses", async () => {
  await colleague.goto("/noodstop");
  await colleague.getByLabel("Reden").fill("Oefening");
  await colleague.getByLabel("Ik leg alle verstrekkingen stil").check();
  await colleague.getByRole("button", { name: "Leg alles stil" }).click();
  await colleague.getByText("Noodstop: alles wordt geweigerd").waitFor();
  await look(colleague, "noodstop-aan");
  for (const server of place.servers) {
    const a = await ages(server, withChildren[0]);
    assert.equal(a.code, "nothing-disclosed");
    assert.deepEqual(a.withheld.flatMap((w) => w.reasons), ["emergency-stop"]);
  }
  assert.deepEqual(author.faults, []);
});

test("a resident signs in over OpenID Connect, at a level that will do, and officers don't sign in there", async () => {
  const resident = await visitor(browser, place.residents, { ignoreHTTPSErrors: true });
  await signInAtProvider(resident, "Inwoner met controle", "Inloggen met DigiD");
  await resident.getByRole("button", { name: "Maak het overzicht" }).click();
  await resident.getByRole("heading", { name: "Goed om te weten" }).waitFor();
  assert.match(resident.url(), /\/overzicht$/);
  for (const [site, button, who] of [[place.residents, "Inloggen met DigiD", "Inwoner met een wachtwoord"], [place.residents, "Inloggen met DigiD", "Auditor"],
    [place.url, "Aanmelden bij uw organisatie", "Inwoner met controle"]]) {
    const page = await visitor(browser, site, { ignoreHTTPSErrors: true });
    await page.goto("/aanmelden");
    await page.getByRole("link", { name: button }).click();
    await page.getByRole("link", { name: who }).click();
    await page.waitForURL((u) => u.pathname === "/callback");
    await page.goto("/");
    assert.match(page.url(), /\/aanmelden$/, `${who} at ${site}`);
  }
  await resident.getByRole("button", { name: "Uitloggen" }).click();
  await resident.getByRole("link", { name: "Inloggen met DigiD" }).waitFor();
  assert.deepEqual(place.identity.left, [`?client_id=schakel&post_logout_redirect_uri=${encodeURIComponent(`${place.residents}/aanmelden`)}`], "signed out at the provider too");
  assert.deepEqual(resident.faults, []);
});
