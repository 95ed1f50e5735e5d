// Says how far long work is, and shows the answer when it comes.
export function start() {
  for (const box of document.querySelectorAll("[data-progress]")) {
    const text = box.querySelector("[data-progress-text]");
    const source = new EventSource(box.dataset.progress);
    let step = null;
    source.addEventListener("message", (event) => {
      const p = JSON.parse(event.data);
      if (text.textContent !== p.text) text.textContent = p.text;
      if (p.done || (step !== null && p.step !== step)) { // there is another answer to show
        source.close();
        location.reload();
      }
      step = p.step;
    });
  }
}
