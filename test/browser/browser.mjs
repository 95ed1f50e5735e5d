// A running demo and a headless browser: what each test begins with.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const work = process.env.SCHAKEL_WORK;
export const shots = process.env.SCHAKEL_SHOTS;
mkdirSync(shots, { recursive: true });

// demo starts the program with a console on a free port and waits for its guide.
export async function demo(name) {
  const env = { ...process.env };
  delete env.SCHAKEL_BRP; // generated persons: quicker, and none of them is looked at
  const child = spawn(process.env.SCHAKEL_BINARY,
    ["demo", "--data", join(work, name), "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0"], { env, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const url = await new Promise((resolve, reject) => {
    child.stderr.on("data", (d) => { text += d; });
    child.stdout.on("data", (d) => {
      text += d;
      const found = text.match(/Console \(beleidswerkplaats\): (\S+)/);
      if (found && text.includes("Stop met")) resolve(found[1]);
    });
    ended.then(() => reject(new Error(`the demo ended: ${text}`)));
  });
  return { url, data: join(work, name), stop: async () => { child.kill("SIGINT"); await ended; } };
}

// browse opens the browser. Chromium runs as root in a container, and looks for nothing outside.
export function browse() {
  return chromium.launch({
    executablePath: process.env.SCHAKEL_CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
}

// visitor opens a page of its own session, which fails the test on any script error or breach of the security policy.
export async function visitor(browser, url, options = {}) {
  const context = await browser.newContext({ baseURL: url, viewport: { width: 1280, height: 900 }, ...options });
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

// accessible fails on any violation of WCAG 2.1 A and AA, or of axe's best practices.
export async function accessible(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
  }));
  const faults = found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join("; ")}`);
  assert.deepEqual(faults, [], `axe on ${page.url()}`);
}

// fits fails where the page is wider than the window.
export async function fits(page) {
  const wide = await page.evaluate(() => {
    const w = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= w) return [];
    return [...document.querySelectorAll("main *, header *, footer *")].filter((e) => {
      const box = e.getBoundingClientRect();
      return box.right > w + 1 && !e.closest(".source, .scroll");
    }).slice(0, 5).map((e) => `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 40)}`);
  });
  assert.deepEqual(wide, [], `wider than the window: ${page.url()}`);
}

export async function shot(page, name) {
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}
