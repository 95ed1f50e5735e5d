// What makes pages comfortable. Everything here can be missed: pages work without it.
const start = async () => {
  if (document.querySelector("[data-editor]")) (await import("./editor.js")).start();
  if (document.querySelector("[data-proof]") && globalThis.crypto?.subtle) (await import("./proof.js")).start();
  if (document.querySelector("[data-progress]")) (await import("./progress.js")).start();
};
start();
