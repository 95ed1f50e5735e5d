// Works out again, in the reader's own browser, that a leaf leads to the root that was signed (RFC 6962, 2.1.3.2).
const bytes = (hex) => Uint8Array.from(hex.match(/../g), (b) => parseInt(b, 16));
const digest = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer()));
const hex = (b) => Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");

async function holds({ leaf, index, size, root, hashes }) {
  let at = BigInt(index), last = BigInt(size) - 1n;
  if (at > last) return false;
  let hash = await digest(new Uint8Array([0]), Uint8Array.from(atob(leaf), (c) => c.charCodeAt(0)));
  for (const other of hashes.trim().split(/\s+/).filter(Boolean)) {
    if (last === 0n) return false;
    if (at % 2n === 1n || at === last) {
      hash = await digest(new Uint8Array([1]), bytes(other), hash);
      while (at % 2n === 0n && at !== 0n) { at /= 2n; last /= 2n; }
    } else {
      hash = await digest(new Uint8Array([1]), hash, bytes(other));
    }
    at /= 2n;
    last /= 2n;
  }
  return last === 0n && hex(hash) === root;
}

export async function start() {
  for (const box of document.querySelectorAll("[data-proof]")) {
    const good = await holds(box.dataset);
    box.textContent = good ? box.dataset.holds : box.dataset.fails;
  }
}
