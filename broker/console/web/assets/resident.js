// A button to print with, and how far the overview is, for who has scripts. Everything works without.
if (document.querySelector("[data-progress]")) (await import("./progress.js")).start();
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => globalThis.print());
}
