// The only script of the console. Every page works without it.
//
// Rows of live pages arrive as JSON and are put in by textContent: no text of others becomes markup. The console sends
// `require-trusted-types-for 'script'`, so that a sink for markup would throw.

// Copies the text of the element that a button names: <button type="button" data-copies="id" hidden>Copy</button>.
for (const button of document.querySelectorAll("button[data-copies]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 2000);
  });
}

// Live rows: <table data-live="URL"> gets the rows of a stream of JSON lines on top, made of <template id="live-row">.
// A row is {kind: "Call", call: {gateway, replica, position}, shown: {FIELD: text}}, a remark {kind: "Notice", text}.
const MOST_ROWS = 200;
const wait = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

class LiveTable {
  constructor(table) {
    this.body = table.tBodies[0];
    this.url = new URL(table.dataset.live, location.href);
    this.after = JSON.parse(this.url.searchParams.get("after") || "{}");
    this.template = document.getElementById("live-row");
    this.state = document.querySelector("[data-live-state]");
    this.pause = document.querySelector("[data-live-pause]");
    this.waiting = [];
    this.paused = false;
    this.pause.hidden = false;
    this.pause.addEventListener("click", () => this.toggle());
  }

  toggle() {
    this.paused = !this.paused;
    this.pause.textContent = this.paused ? "Resume" : "Pause";
    if (!this.paused) for (const row of this.waiting.splice(0)) this.put(row);
    this.say(this.paused ? "Paused" : "Live: new calls come in on top");
  }

  say(text) { this.state.textContent = text; }

  take(row) {
    if (row.kind === "Notice") { this.say(row.text); return; }
    this.after[`${row.call.gateway}/${row.call.replica}`] = row.call.position;
    if (this.paused) {
      this.waiting.push(row);
      if (this.waiting.length > MOST_ROWS) this.waiting.shift();
    } else this.put(row);
  }

  put(row) {
    const made = this.template.content.firstElementChild.cloneNode(true);
    for (const field of made.querySelectorAll("[data-field]")) field.textContent = row.shown[field.dataset.field];
    made.querySelector("[data-field=outcome]").className = `state ${row.shown.tone}`;
    for (const link of made.querySelectorAll("[data-link]")) {
      const path = row.shown[link.dataset.link];
      link.hidden = !path.startsWith("/explain?");
      if (!link.hidden) link.setAttribute("href", path);
    }
    made.classList.add("live-new");
    this.body.prepend(made);
    while (this.body.rows.length > MOST_ROWS) this.body.deleteRow(-1);
    for (const notice of document.querySelectorAll("main > .empty")) notice.remove();
  }

  // Reads one stream to its end; true if it is worth another try.
  async read() {
    this.url.searchParams.set("after", JSON.stringify(this.after));
    const response = await fetch(this.url, { credentials: "same-origin", redirect: "error", cache: "no-store" });
    if (response.status === 401 || response.status === 403) {
      this.say("This list is no longer live: reload the page, and sign in again if it asks for that");
      return false;
    }
    if (!response.ok) throw new Error(response.statusText);
    if (!this.paused) this.say("Live: new calls come in on top");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ;) {
      const { done, value } = await reader.read();
      if (done) return true;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line) this.take(JSON.parse(line));
    }
  }

  async follow() {
    for (let pause = 500; ; pause = Math.min(pause * 2, 15000)) {
      try {
        if (!(await this.read())) return;
        pause = 500;
      } catch {
        this.say("The stream broke off: trying again");
      }
      await wait(pause);
    }
  }
}

for (const table of document.querySelectorAll("table[data-live]")) new LiveTable(table).follow();
