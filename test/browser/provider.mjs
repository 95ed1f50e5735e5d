// A stand-in identity provider: OpenID Connect, authorization code with PKCE (S256). Whoever comes chooses who they are.
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { createServer } from "node:http";

const b64 = (v) => Buffer.from(typeof v === "string" ? v : JSON.stringify(v)).toString("base64url");

// provider knows people by the sub they get, each with a name, roles and more claims, and one client by its secret.
export async function provider(people, client) {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const codes = new Map();
  const left = []; // what came along with those who signed out
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, issuer);
    const say = (status, type, body) => response.writeHead(status, { "Content-Type": type }).end(body);
    const json = (status, body) => say(status, "application/json", JSON.stringify(body));
    switch (url.pathname) {
      case "/.well-known/openid-configuration":
        return json(200, { issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks`, end_session_endpoint: `${issuer}/logout`,
          response_types_supported: ["code"], subject_types_supported: ["public"], id_token_signing_alg_values_supported: ["RS256"] });
      case "/jwks":
        return json(200, { keys: [{ ...publicKey.export({ format: "jwk" }), alg: "RS256", use: "sig", kid: "1" }] });
      case "/authorize": {
        const q = url.searchParams;
        if (q.get("client_id") !== client.id || q.get("code_challenge_method") !== "S256") return say(400, "text/plain", "no");
        const links = Object.entries(people).map(([sub, p]) => {
          const code = randomBytes(16).toString("hex");
          codes.set(code, { sub, nonce: q.get("nonce"), challenge: q.get("code_challenge") });
          return `<li><a href="${q.get("redirect_uri")}?code=${code}&amp;state=${encodeURIComponent(q.get("state"))}">${p.name}</a></li>`;
        });
        return say(200, "text/html", `<!doctype html><html lang="nl"><title>Wie bent u?</title><ul>${links.join("")}</ul>`);
      }
      case "/logout":
        left.push(url.search);
        return response.writeHead(302, { Location: url.searchParams.get("post_logout_redirect_uri") }).end();
      case "/token": {
        let body = "";
        for await (const chunk of request) body += chunk;
        const form = new URLSearchParams(body);
        const known = codes.get(form.get("code"));
        codes.delete(form.get("code"));
        const told = request.headers.authorization === `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString("base64")}`;
        const proven = known?.challenge === createHash("sha256").update(form.get("code_verifier") ?? "").digest("base64url");
        if (!told || !proven) return json(400, { error: "invalid_grant" });
        const now = Math.floor(Date.now() / 1000);
        const text = `${b64({ alg: "RS256", kid: "1" })}.${b64({ iss: issuer, aud: client.id, sub: known.sub, nonce: known.nonce, iat: now, exp: now + 300,
          name: people[known.sub].name, roles: people[known.sub].roles, ...people[known.sub].claims })}`;
        return json(200, { access_token: "none", token_type: "Bearer", id_token: `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}` });
      }
    }
    return say(404, "text/plain", "no");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  return { issuer, left, stop: () => { server.closeAllConnections(); server.close(); } };
}
