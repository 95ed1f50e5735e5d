// The comfort of the editor: a coloured view behind the text field, findings while typing, completion, layout. The text
// field stays a text field, so undo, selection, search and screen readers work as everywhere.
const wait = 350; // milliseconds after the last key

export function start() {
  const box = document.querySelector("[data-editor]");
  const area = box.querySelector("textarea");
  const view = box.querySelector(".view");
  const form = area.form;
  const token = form.elements.token.value;
  const say = (nl, en) => (box.dataset.lang === "en" ? en : nl);
  box.classList.add("live");

  // The view: lines the server coloured before keep their colours, others are plain until it answers.
  const coloured = new Map();
  for (const li of view.children) coloured.set(li.textContent, [...li.childNodes].map((n) => n.cloneNode(true)));
  let before = area.value.split("\n");
  function draw() {
    const lines = area.value.split("\n");
    if (lines.at(-1) === "" && lines.length > 1) lines.pop();
    let first = 0;
    while (first < lines.length && first < before.length && lines[first] === before[first]) first++;
    while (view.children.length > lines.length) view.lastElementChild.remove();
    while (view.children.length < lines.length) view.append(document.createElement("li"));
    lines.forEach((line, i) => {
      const li = view.children[i];
      if (i >= first) li.classList.remove("missed", "reached");
      if (li.textContent === line) return;
      li.replaceChildren(...(coloured.get(line) ?? [document.createTextNode(line)]).map((n) => n.cloneNode(true)));
    });
    before = lines;
    area.rows = lines.length + 1;
    area.cols = Math.max(40, ...lines.map((l) => l.replaceAll("\t", "    ").length)) + 2;
  }

  // Findings, from the server, for the text as it is.
  const list = document.querySelector("[data-findings]");
  const summary = document.querySelector("[data-summary]");
  let asked = 0;
  let timer = 0;
  async function check() {
    const mine = ++asked;
    const body = new URLSearchParams({ pad: form.elements.pad.value, inhoud: area.value });
    const response = await fetch(box.dataset.check, { method: "POST", body, headers: { "X-Form-Token": token } }).catch(() => null);
    if (!response?.ok || mine !== asked) return;
    const found = await response.json();
    if (mine !== asked) return;
    coloured.clear();
    found.lines.forEach((spans, i) => {
      const nodes = spans.map((s) => {
        if (!s.k) return document.createTextNode(s.t);
        const e = document.createElement("span");
        e.className = `t-${s.k}`;
        e.textContent = s.t;
        return e;
      });
      coloured.set(spans.map((s) => s.t).join(""), nodes);
      const li = view.children[i];
      if (li && li.textContent === spans.map((s) => s.t).join("")) li.replaceChildren(...nodes.map((n) => n.cloneNode(true)));
    });
    for (const li of view.children) { li.classList.remove("fault"); delete li.dataset.fault; }
    list.replaceChildren(...found.findings.map((f) => {
      const li = view.children[f.line - 1];
      if (li) { li.classList.add("fault"); li.dataset.fault = f.problem; }
      const item = document.createElement("li");
      const text = document.createElement("p");
      const strong = document.createElement("b");
      strong.textContent = f.problem;
      if (f.said) {
        const said = document.createElement("span");
        said.lang = "en";
        said.textContent = f.said;
        strong.append(" ", said);
      }
      const go = document.createElement("button");
      go.type = "button";
      go.className = "link-button";
      go.textContent = `${say("Regel", "Line")} ${f.line}`;
      go.addEventListener("click", () => goTo(f.line));
      text.append(go, ": ", strong, document.createElement("br"), f.advice);
      item.append(text);
      return item;
    }));
    if (summary.textContent !== found.summary) summary.textContent = found.summary;
  }
  function goTo(line) {
    const at = area.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    area.focus();
    area.setSelectionRange(at, at);
    view.children[line - 1]?.scrollIntoView({ block: "center" });
  }

  // insert goes by way of the browser's own editing, so that undo knows of it.
  function insert(text) {
    area.focus();
    if (!document.execCommand("insertText", false, text)) area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
  }

  // Layout: the whole text is replaced in one step of undo.
  form.querySelector("[data-format-button]").addEventListener("click", async (event) => {
    event.preventDefault();
    const body = new URLSearchParams({ pad: form.elements.pad.value, inhoud: area.value });
    const response = await fetch(box.dataset.format, { method: "POST", body, headers: { "X-Form-Token": token } }).catch(() => null);
    if (!response?.ok) { summary.textContent = say("Opmaken lukt pas als het bestand geldige Rego is.", "Layout works once the file is valid Rego."); return; }
    const { text } = await response.json();
    if (text === area.value) return;
    const at = area.selectionStart;
    area.select();
    insert(text);
    area.setSelectionRange(at, at);
  });

  // Completion from the closed lists.
  let words = null;
  const options = document.createElement("ul");
  options.className = "options";
  options.id = "aanvullen";
  options.role = "listbox";
  options.ariaLabel = say("Aanvullen", "Complete");
  options.hidden = true;
  box.append(options);
  const spoken = document.createElement("p");
  spoken.className = "visually-hidden";
  spoken.role = "status";
  box.after(spoken);
  area.setAttribute("aria-controls", options.id);
  area.setAttribute("aria-autocomplete", "list");
  let chosen = 0;
  const begun = () => area.value.slice(0, area.selectionStart).match(/[\p{L}\p{N}._-]*$/u)[0];
  async function offer() {
    words ??= await fetch(box.dataset.words).then((r) => (r.ok ? r.json() : [])).catch(() => []);
    const part = begun().toLowerCase();
    const found = words.filter((w) => w.w.toLowerCase().includes(part)).sort((a, b) => a.w.toLowerCase().indexOf(part) - b.w.toLowerCase().indexOf(part)).slice(0, 8);
    if (!found.length) { close(); spoken.textContent = say("Niets om aan te vullen.", "Nothing to complete."); return; }
    options.replaceChildren(...found.map((w, i) => {
      const li = document.createElement("li");
      li.role = "option";
      li.id = `aanvulling-${i}`;
      const name = document.createElement("b");
      name.textContent = w.w;
      const about = document.createElement("span");
      about.textContent = `${w.k}: ${w.t}`;
      li.append(name, about);
      li.dataset.word = w.w;
      li.addEventListener("mousedown", (e) => { e.preventDefault(); choose(i); take(); });
      return li;
    }));
    const lines = area.value.slice(0, area.selectionStart).split("\n");
    const row = view.children[Math.min(lines.length, view.children.length) - 1];
    options.style.top = `${row ? row.offsetTop + row.offsetHeight : 0}px`;
    options.style.left = `calc(4.4rem + ${Math.min(lines.at(-1).replaceAll("\t", "    ").length - part.length, 40)}ch)`;
    options.hidden = false;
    choose(0);
    spoken.textContent = `${found.length} ${say("mogelijkheden; kies met de pijltjes en Enter", "possibilities; choose with the arrows and Enter")}`;
  }
  function choose(i) {
    chosen = (i + options.children.length) % options.children.length;
    [...options.children].forEach((li, n) => { li.ariaSelected = String(n === chosen); });
    area.setAttribute("aria-activedescendant", `aanvulling-${chosen}`);
  }
  function take() {
    const word = options.children[chosen].dataset.word;
    area.setSelectionRange(area.selectionStart - begun().length, area.selectionStart);
    close();
    insert(word);
  }
  function close() {
    options.hidden = true;
    area.removeAttribute("aria-activedescendant");
  }

  area.addEventListener("keydown", (event) => {
    if (!options.hidden) {
      const act = { ArrowDown: () => choose(chosen + 1), ArrowUp: () => choose(chosen - 1), Enter: take, Escape: close }[event.key];
      if (act) { event.preventDefault(); act(); return; }
      if (event.key === "Tab") close();
    }
    if (event.key === " " && event.ctrlKey) { event.preventDefault(); offer(); return; }
    if (event.key === "Enter" && !event.ctrlKey && !event.isComposing) { // the next line begins where this one did
      const indent = area.value.slice(0, area.selectionStart).split("\n").at(-1).match(/^[\t ]*/)[0];
      if (indent) { event.preventDefault(); insert(`\n${indent}`); }
    }
  });
  area.addEventListener("blur", close);
  area.addEventListener("input", (event) => {
    draw();
    clearTimeout(timer);
    timer = setTimeout(check, wait);
    const quoted = (area.value.slice(0, area.selectionStart).split("\n").at(-1).match(/"/g) ?? []).length % 2 === 1;
    if (event.inputType === "insertText" && quoted && begun().length >= 2) offer(); else close();
  });
  let leaving = false;
  const opened = area.value;
  form.addEventListener("submit", () => { leaving = true; });
  addEventListener("beforeunload", (event) => { if (!leaving && area.value !== opened) event.preventDefault(); });
  draw();
}
