(() => {
  "use strict";
  const me = document.getElementById("board").dataset;
  const base = "/f/" + encodeURIComponent(me.feature);
  const main = document.getElementById("main"), link = document.getElementById("link");
  const toast = document.getElementById("toast"), ask = document.getElementById("ask");
  if (location.search) history.replaceState(null, "", location.pathname + location.hash);

  const tell = (text, good) => {
    toast.textContent = text;
    toast.hidden = false;
    clearTimeout(tell.timer);
    tell.timer = setTimeout(() => { toast.hidden = true; }, good ? 6000 : 30000);
  };
  toast.addEventListener("click", () => { toast.hidden = true; });

  let busy = false, again = false;
  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(base + "/body", { headers: { accept: "text/html" } });
      if (!answer.ok) throw new Error(await answer.text());
      const html = await answer.text();
      const selected = String(getSelection());
      if (selected && getSelection().anchorNode && main.contains(getSelection().anchorNode)) {
        setTimeout(refresh, 3000); // somebody copies something
        return;
      }
      const open = new Map();
      for (const d of main.querySelectorAll("details[id]")) open.set(d.id, d.open);
      const focus = document.activeElement && document.activeElement.dataset.do ?
        [document.activeElement.dataset.do, document.activeElement.dataset.cell] : null;
      const at = scrollY;
      const next = document.createElement("main");
      next.innerHTML = html; // escaped by the server; the page's policy runs no script in it
      for (const d of next.querySelectorAll("details[id]")) if (open.has(d.id)) d.open = open.get(d.id);
      main.replaceChildren(...next.childNodes);
      scrollTo(0, at);
      if (focus) for (const b of main.querySelectorAll("button[data-do]"))
        if (b.dataset.do === focus[0] && b.dataset.cell === focus[1]) { b.focus(); break; }
    } catch (error) {
      tell(String(error.message || error), false);
    } finally {
      busy = false;
      if (again) { again = false; refresh(); }
    }
  }

  const events = new EventSource(base + "/events");
  const state = (on, text) => { link.className = on ? "on" : "off"; link.textContent = text; };
  let first = true;
  events.addEventListener("hello", () => { state(true, "live"); if (!first) refresh(); first = false; });
  events.addEventListener("changed", refresh);
  events.onerror = () => state(false, "the board does not answer");

  const words = {
    abort: (cell) => cell ? `Abort ${cell}? Its agent is stopped, the worktree stays.`
      : "Abort everything that runs for this feature? Worktrees stay.",
    force: (cell) => `Build ${cell} again? A new attempt starts on its branch; an agent that costs money costs it again.`,
    approve: (cell) => `Approve ${cell} as this page shows it? It goes on with the next run.`,
  };
  const sure = (text) => new Promise((done) => {
    document.getElementById("question").textContent = text;
    ask.returnValue = "no";
    ask.addEventListener("close", () => done(ask.returnValue === "yes"), { once: true });
    ask.showModal();
  });
  main.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-do]");
    if (!button) return;
    const action = button.dataset.do, cell = button.dataset.cell, seen = button.dataset.seen || "";
    if (!await sure(words[action](cell))) return;
    button.disabled = true;
    tell("…", false);
    try {
      const answer = await fetch(base + "/do", {
        method: "POST", body: JSON.stringify({ action, cell, seen }),
        headers: { "content-type": "application/json", "x-orchestr-token": me.token },
      });
      const text = await answer.text();
      const said = answer.ok ? JSON.parse(text) : { ok: false, said: text };
      tell(said.said, said.ok);
    } catch (error) {
      tell(String(error.message || error), false);
    }
    button.disabled = false;
    refresh();
  });
})();
