// What each test begins with: a running Schakel, a headless browser, and what every page must be.
import { execFile, spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const work = process.env.SCHAKEL_WORK;
const shots = process.env.SCHAKEL_SHOTS; // "" where nobody wants them
if (shots) mkdirSync(shots, { recursive: true });
delete process.env.SCHAKEL_BRP; // generated persons: quicker, and none of them is looked at

// soon is how long what must come is waited for, on a machine however busy.
export const soon = 120_000;

// started runs a program until stop, which gives how it ended.
export function started(program, args) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  let heard = () => {};
  for (const out of [child.stdout, child.stderr]) out.on("data", (d) => { text += d; heard(); });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  ended.then(() => process.removeListener("exit", kill));
  return {
    text: () => text,
    signal: (name) => child.kill(name),
    // says waits until it has written something.
    says: (pattern) => new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${program} does not say ${pattern}: ${text}`)), soon);
      heard = () => { const found = text.match(pattern); if (found) { clearTimeout(late); resolve(found); } };
      ended.then(() => reject(new Error(`${program} ended: ${text}`)));
      heard();
    }),
    stop: () => { child.kill("SIGTERM"); child.kill("SIGCONT"); return ended; }, // it may be paused
  };
}

// schakel runs one command. Exit code 3 is a refusal, which is an answer too.
export function schakel(...args) {
  return new Promise((resolve, reject) => execFile(process.env.SCHAKEL_BINARY, args, { maxBuffer: 1 << 26 }, (error, out, said) =>
    (error && error.code !== 3 ? reject(new Error(`schakel ${args.join(" ")}: ${said}${out}`)) : resolve(out))));
}

// ask asks a gateway for fields of a case of the example, as a worker of its municipality, and gives the answer. On a busy
// machine the log may miss its 250 ms: then it asks again, as the 503 says; tries counts how often it asked.
export async function ask({ data, servers }, server, household, worker, role, purpose, fields) {
  const { agencies } = JSON.parse(readFileSync(join(data, "demo.json"), "utf8"));
  const args = ["ask", "--data", data, "--server", server, "--audience", servers[0], "--json", "--agency", agencies.find((a) => a.kind === "gemeente").oin,
    "--worker", worker, "--role", role, "--purpose", purpose, "--household", `case:${household}`, "--fields", fields];
  for (let tries = 1, end = Date.now() + soon; ; tries++) {
    try {
      return { ...JSON.parse(await schakel(...args)).answer, tries };
    } catch (e) {
      if (Date.now() > end || !/\(503 /.test(e.message)) throw e;
      await new Promise((r) => setTimeout(r, 500));
    }
  }
}

// demo starts the demo with a console on a free port and waits for its guide.
export async function demo(name) {
  const data = join(work, name);
  const server = started(process.env.SCHAKEL_BINARY, ["demo", "--data", data, "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0", "--residents", "127.0.0.1:0"]);
  const [, url] = await server.says(/Console \(beleidswerkplaats\): (\S+)[^]*Stop met/);
  return { url, data, stop: server.stop };
}

// browse opens the browser. Chromium runs as root in a container, and looks for nothing outside.
export function browse() {
  return chromium.launch({
    executablePath: process.env.SCHAKEL_CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
}

// visitor opens a page of its own session, which fails the test on any script error or breach of the security policy.
export async function visitor(browser, url, options = {}) {
  const context = await browser.newContext({ baseURL: url, viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(soon);
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (e) => faults.push(String(e)));
  page.on("console", (m) => { if (m.type() === "error" && !/status of [45]\d\d/.test(m.text())) faults.push(m.text()); });
  page.faults = faults;
  return page;
}

export async function signIn(page, persona) {
  await page.goto("/aanmelden");
  await page.getByLabel(persona, { exact: false }).first().check();
  await page.getByRole("button", { name: /Aanmelden|Sign in/ }).click();
  await page.waitForURL((u) => u.pathname === "/");
}

// accessible fails on any violation of WCAG 2.1 A and AA, or of axe's best practices. Colours, the larger half of the work,
// are the same in either language.
export async function accessible(page, { colours = true } = {}) {
  await page.evaluate(axe);
  const found = await page.evaluate((enabled) => globalThis.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"], resultTypes: ["violations"], rules: { "color-contrast": { enabled } },
  }), colours);
  const faults = found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join("; ")}`);
  assert.deepEqual(faults, [], `axe on ${page.url()}`);
}

// fits fails where the page is wider than the window, and names what is.
export async function fits(page) {
  const wide = await page.evaluate(() => {
    const w = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= w) return [];
    const out = [...document.querySelectorAll("main *, header *, footer *")].filter((e) => e.getBoundingClientRect().right > w + 1)
      .slice(0, 5).map((e) => `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 40)}`);
    return out.length ? out : ["the page"];
  });
  assert.deepEqual(wide, [], `wider than the window: ${page.url()}`);
}

// shot keeps a picture of a page, of its first 4,000 pixels.
export async function shot(page, name) {
  if (!shots) return;
  const { width, height } = await page.evaluate(() => ({ width: innerWidth, height: Math.min(document.documentElement.scrollHeight, 4000) }));
  await page.screenshot({ path: join(shots, `${name}.jpg`), type: "jpeg", quality: 80, fullPage: true, clip: { x: 0, y: 0, width, height } });
}

// look takes a page through it all: axe in Dutch and in English, nothing too wide on a small screen or at 200 per cent.
// What is seen is kept as pictures, wide and narrow, in Dutch.
export async function look(page, name, { languages = true } = {}) {
  await page.setViewportSize({ width: 1280, height: 900 });
  assert.equal(await page.locator("h1").count(), 1, `one h1 on ${name}`);
  await accessible(page);
  await shot(page, name);
  await page.setViewportSize({ width: 640, height: 450 }); // what 1280 by 900 leaves at 200 per cent
  await fits(page);
  await page.setViewportSize({ width: 320, height: 640 });
  await fits(page);
  await shot(page, `${name}-320`);
  if (!languages) return page.setViewportSize({ width: 1280, height: 900 });
  await page.getByRole("button", { name: "English" }).click();
  await page.locator("html[lang=en]").waitFor();
  await fits(page);
  await accessible(page, { colours: false });
  await page.getByRole("button", { name: "Nederlands" }).click();
  await page.locator("html[lang=nl]").waitFor();
  await page.setViewportSize({ width: 1280, height: 900 });
}

// glance is look in the long form; else only a picture, of a page that is looked at elsewhere in another state.
export const glance = process.env.LONG ? look : shot;

// makeDraft begins a draft on the policy in force and gives its address.
export async function makeDraft(page, title) {
  await page.goto("/ontwerpen");
  await page.getByLabel("Titel").fill(title);
  await page.getByRole("button", { name: "Ontwerp maken" }).click();
  await page.waitForURL(/ontwerpen\/[a-z0-9]+$/);
  return new URL(page.url()).pathname;
}

// edit changes a file of a draft, or adds one, and sees that it was kept.
export async function edit(page, draft, path, change) {
  const address = `${draft}/bestand?pad=${path}`;
  await page.goto(address);
  const area = page.locator("textarea");
  const before = await area.inputValue();
  const after = change(before);
  assert.notEqual(after, before, `the change of ${path} changes something`);
  await area.fill(after);
  await keep(page);
  await page.goto(address);
  assert.equal(await area.inputValue(), after);
}

// keep presses the button that keeps a file, and waits for the page that comes of it.
export async function keep(page) {
  await Promise.all([page.waitForEvent("load"), page.getByRole("button", { name: "Bewaren" }).click()]);
}

// check has a draft checked; answer is one of its answers, once it stands on the page.
export async function check(page, draft) {
  await page.goto(draft);
  await page.getByRole("button", { name: /Toets dit ontwerp|Toets opnieuw/ }).click();
  await page.locator(".story").waitFor();
}
export const answer = (page, question) => page.locator(".story > li").filter({ has: page.getByRole("heading", { name: question }) });
export async function stopCheck(page) {
  await page.getByRole("button", { name: "Stop de toets" }).click();
  await page.getByRole("button", { name: "Toets opnieuw" }).waitFor();
}

// forge sends a form past the page, as its reader, and gives the status and the text of what comes back.
export async function forge(page, path, fields = {}) {
  const token = await page.locator("input[name=token]").first().inputValue();
  const reply = await page.request.post(path, { form: { token, ...fields }, maxRedirects: 0 });
  return `${reply.status()} ${await reply.text()}`;
}
