// A deployment as an organisation runs it: Redis, the stand-in agencies, two gateways of which one has the console over
// TLS, and an identity provider.
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gunzipSync, gzipSync } from "node:zlib";
import assert from "node:assert/strict";
import { provider } from "./provider.mjs";
import { schakel, soon, started, work } from "./browser.mjs";

const compose = fileURLToPath(new URL("../compose/", import.meta.url));
const run = promisify(execFile);

// freePort seeks among those that no system gives out by itself, so that nobody else has it when a gateway starts.
const freePort = () => new Promise((resolve) => {
  const port = 20_000 + Math.floor(Math.random() * 12_000);
  const probe = createServer().once("error", () => resolve(freePort()));
  probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(port)));
});

// people are the officers of the example, as the identity provider knows them.
const people = {
  "privacy-1": { name: "Privacy officer 1", roles: ["beleid"] },
  "privacy-2": { name: "Privacy officer 2", roles: ["beleid"] },
  "jurist-1": { name: "Jurist", roles: ["recht"] },
  "fg-1": { name: "Functionaris gegevensbescherming", roles: ["fg"] },
  "auditor-1": { name: "Auditor", roles: ["audit"] },
};

// residents are two sign-ins of one resident, of which the second is at too low a level; deployment fills the BSN in.
const residents = {
  "inwoner-1": { name: "Inwoner met controle van het identiteitsbewijs", claims: { acr: "substantieel" } },
  "inwoner-2": { name: "Inwoner met een wachtwoord", claims: { acr: "basis" } },
};

async function ready(gateway, url) {
  let said = "";
  for (const end = Date.now() + soon; Date.now() < end;) {
    const answer = await fetch(`${url}/readyz`).catch((e) => ({ text: () => String(e.cause ?? e) }));
    if (answer.status === 200) return;
    said = await answer.text();
    await new Promise((r) => setTimeout(r, 20));
  }
  throw new Error(`${url} is not ready in time: ${said}\n${gateway.text()}`);
}

export async function deployment(name) {
  const ended = []; // what stops it all, the last first
  const stop = async () => { for (const f of ended.reverse()) await f(); };
  try {
    return { ...await begin(join(work, name), ended), stop };
  } catch (e) {
    await stop();
    throw e;
  }
}

async function begin(data, ended) {
  const second = join(data, "gw2");
  mkdirSync(second, { recursive: true });
  const [redisPort, one, two, web, inwoners] = await Promise.all([freePort(), freePort(), freePort(), freePort(), freePort()]);
  const client = { id: "schakel", secret: "geheim-van-de-proef" };

  const redis = started("redis-server", ["--bind", "127.0.0.1", "--port", String(redisPort), "--dir", data, "--appendonly", "yes", "--appendfsync", "always",
    "--no-appendfsync-on-rewrite", "no", "--auto-aof-rewrite-percentage", "0", "--maxmemory-policy", "noeviction", "--save", ""]);
  ended.push(() => redis.stop());
  const agencies = started(process.env.SCHAKEL_AGENCIES, ["--listen", "127.0.0.1:0"]);
  ended.push(() => agencies.stop());
  const identity = await provider({ ...people, ...residents }, client);
  ended.push(() => identity.stop());
  await run("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", join(data, "console.key"), "-out", join(data, "console.pem")]);

  // What docker-compose gives its gateways, with the addresses of here.
  await agencies.says(/zorgverzekeraar.*\n/);
  const homes = Object.fromEntries([...agencies.text().matchAll(/^(\d{20}) .* (http\S+)$/gm)].map((m) => [m[1], m[2]]));
  const example = readFileSync(join(compose, "gw1.yaml"), "utf8");
  const sources = example.slice(example.indexOf("\nsources:")).replaceAll("apikeys/", join(compose, "apikeys/"))
    .replaceAll(/- holder: "?(\d+)"?\n(.*\n)  address: .*/g, (_, oin, protocol) => `- holder: "${oin}"\n${protocol}  address: ${homes[oin]}`);
  const shard = example.match(/shard: "?(\d+)/)[1];
  const [url, url2, site] = [`http://127.0.0.1:${one}`, `http://127.0.0.1:${two}`, `https://127.0.0.1:${web}`];
  writeFileSync(join(data, "passphrase"), "een zin voor een proef", { mode: 0o600 });
  writeFileSync(join(data, "secret"), client.secret, { mode: 0o600 });
  const config = (writer, port, folder, more) => {
    const file = join(data, `${writer}.yaml`);
    writeFileSync(file, `shard: "${shard}"\nwriter: ${writer}\nlisten: 127.0.0.1:${port}\naudience: ${url}\ndata: ${folder}\n` +
      `keys:\n  file: ${data}/keys.jwe\n  passphraseFile: ${data}/passphrase\nredis:\n  addresses: ["127.0.0.1:${redisPort}"]\n` +
      `limits:\n  requestsPerSecond: 1000\n  burst: 1000\n${more}${sources}`);
    return file;
  };
  const first = config("gw1", one, data, `console:\n  listen: 127.0.0.1:${web}\n  url: ${site}\n  certificate: ${data}/console.pem\n  key: ${data}/console.key\n` +
    `  issuer: ${identity.issuer}\n  clientID: ${client.id}\n  clientSecretFile: ${data}/secret\n  roles:\n    beleid: privacy-officer\n    recht: jurist\n` +
    "    fg: functionaris-gegevensbescherming\n    audit: auditor\n" +
    `residents:\n  listen: 127.0.0.1:${inwoners}\n  url: https://127.0.0.1:${inwoners}\n  certificate: ${data}/console.pem\n  key: ${data}/console.key\n` +
    `  organisation: Gemeente Proef\n  contact: fg@proef.example\n  issuer: ${identity.issuer}\n  clientID: ${client.id}\n  clientSecretFile: ${data}/secret\n` +
    "  bsnClaim: bsn\n  levels: [substantieel, hoog]\n");
  const other = config("gw2", two, second, "");
  await schakel("init", "--config", first, "--example", data, "--server", url);
  await schakel("init", "--config", other);
  const bsn = JSON.parse(readFileSync(join(data, "demo.json"), "utf8")).cases[0].bsns[0];
  for (const r of Object.values(residents)) r.claims.bsn = bsn;
  const gateways = [first, other].map((file) => started(process.env.SCHAKEL_BINARY, ["serve", "--config", file]));
  ended.push(() => gateways[0].stop(), () => gateways[1].stop());
  await Promise.all([ready(gateways[0], url), ready(gateways[1], url2)]);

  return {
    identity,
    url: site, residents: `https://127.0.0.1:${inwoners}`, data, servers: [url, url2], gateways,
    // alter changes a text in a signed bundle in Redis, and gives what puts it back.
    alter: (revision, from, to) => {
      const redisCLI = (input, ...args) => execFileSync("redis-cli", ["-p", String(redisPort), ...args], { input });
      const [key, put] = [`schakel:{${shard}}:blobs`, (bundle) => redisCLI(bundle, "-x", "hset", key, revision)];
      const bundle = redisCLI("", "--raw", "hget", key, revision).subarray(0, -1); // without the newline
      const files = gunzipSync(bundle).toString("latin1");
      assert.ok(files.includes(from));
      put(gzipSync(Buffer.from(files.replace(from, to), "latin1")));
      return () => put(bundle);
    },
  };
}

// signInAtProvider signs in over OpenID Connect.
export async function signInAtProvider(page, person, button = "Aanmelden bij uw organisatie") {
  await page.goto("/aanmelden");
  await page.getByRole("link", { name: button }).click();
  await page.getByRole("link", { name: person }).click();
  await page.waitForURL((u) => u.pathname === "/" && u.protocol === "https:");
}
