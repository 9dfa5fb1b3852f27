// The live connection: one WebSocket, fragments morphed in by their ids.
//   we send   {"watch": ["database:12", "running"]}
//   we get    {"topic": "…", "fragments": ["<section id=…>…</section>"], "now": 1764000000000}
//             {"topic": "…", "shape": "…"}      what is no fragment; a page with another one asks for itself
//             {"topic": "…", "refresh": true}   ask for the page again and morph it
//             {"topic": "ping"}                 every few seconds, so that silence means a dead line
"use strict";
(() => {
  const topics = (document.body.dataset.topics || "").split(" ").filter(Boolean);
  if (!topics.length || !window.changeover) return;
  const { morph, take, page, setServerNow } = window.changeover;
  const SILENCE = 15000;
  const posted = "answer" in document.body.dataset;
  let socket = null, tries = 0, heard = Date.now(), lost = false, timer = 0;

  const mark = () => document.querySelector("[data-live]");
  const bar = () => document.getElementById("reconnecting");

  function show() {
    const el = mark();
    if (!el) return;
    const open = socket && socket.readyState === WebSocket.OPEN;
    const text = el.querySelector("[data-live-text]");
    const age = (Date.now() - heard) / 1000;
    el.dataset.live = open ? "on" : "off";
    const words = open ? `Live, ${age < 10 ? age.toFixed(1) : Math.round(age)} s old` : `${Math.round(age)} s old`;
    if (text && text.textContent !== words) text.textContent = words;
    const note = bar();
    // A page that has just been opened, or a short gap, is no news.
    if (note) note.hidden = open || Date.now() - heard < 2500;
    const since = note && note.querySelector("[data-stale-since]");
    if (since) since.textContent = new Date(heard).toLocaleTimeString("en-GB");
  }

  // A form was sent and its answer is on the way: whatever happened to the socket
  // or the session meanwhile, the page must not go elsewhere. The answer may be
  // the only one that shows a secret.
  const leaving = () => document.querySelector("form[data-sent]");

  async function refetch() {
    if (leaving()) { refreshSoon(1000); return; }
    try {
      // The answer to a form is at no address that could be asked for; another page
      // has the same rail, and leads to signing in as well.
      if (posted) await withdraw();
      const { answer, doc } = await page(posted ? "/search" : location.href);
      // Away for a moment: what is on the page is of more use than that.
      if (answer.status >= 500) { refreshSoon(3000); return; }
      if (leaving()) { refreshSoon(1000); return; }
      if (answer.redirected && new URL(answer.url).pathname === "/sign-in") { location.assign(answer.url); return; }
      const now = Number(doc.body.dataset.now);
      if (now) setServerNow(now);
      // What is shown once would be gone.
      const once = document.querySelector("main .new-token");
      for (const id of once || posted ? ["running", "unread"] : ["main", "running", "unread"]) take(doc, id);
      if (!once && !posted && doc.body.dataset.shape) document.body.dataset.shape = doc.body.dataset.shape;
      heard = Date.now();
    } catch { /* the next try comes with the next connection */ }
  }

  // The answer to a form is not asked for again, so that nothing typed is lost; what
  // the form's page does not offer any more is taken from it.
  async function withdraw() {
    const from = document.body.dataset.answer;
    if (!from) return;
    const { answer, doc } = await page(from);
    if (answer.status >= 500) { refreshSoon(3000); return; }
    const posts = (root) => [...root.querySelectorAll("main form[method=post], main button[formaction]")];
    const act = (el) => el.getAttribute("formaction") || el.getAttribute("action");
    const offered = new Set(answer.ok ? posts(doc).map(act) : []);
    const gone = posts(document).filter((el) => !offered.has(act(el)));
    for (const el of gone) for (const button of el.matches("form") ? el.querySelectorAll("button:not([type=button])") : [el]) button.disabled = true;
    const note = document.getElementById("withdrawn");
    if (!gone.length || !note) return;
    note.hidden = false;
    note.querySelector("a").href = from;
  }

  // One at a time, however many messages and connections ask for it.
  let refreshing = 0, askedFor = "";
  function refreshSoon(atLeast = 150) {
    if (refreshing) return;
    refreshing = setTimeout(() => { refreshing = 0; refetch(); }, atLeast + Math.random() * 350);
  }

  function receive(message) {
    heard = Date.now();
    if (message.now) setServerNow(message.now);
    for (const html of message.fragments || []) {
      const holder = document.createElement("template");
      holder.innerHTML = html.trim();
      for (const fresh of [...holder.content.children]) {
        const old = fresh.id && document.getElementById(fresh.id);
        if (old) {
          const wrap = document.createElement("div");
          wrap.append(fresh);
          window.changeover.localise(wrap);
          morph(old, fresh);
        }
      }
    }
    const shape = document.body.dataset.shape;
    if (message.shape && shape && message.shape !== shape && message.shape !== askedFor) {
      askedFor = message.shape; // once for each: the answer is as new as can be
      refreshSoon();
    }
    if (message.refresh) refreshSoon();
  }

  function connect() {
    clearTimeout(timer);
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    const mine = socket;
    mine.onopen = () => {
      mine.send(JSON.stringify({ watch: topics }));
      tries = 0;
      if (lost) { lost = false; refetch(); }
      heard = Date.now();
      show();
    };
    mine.onmessage = (event) => { if (mine === socket) { receive(JSON.parse(event.data)); show(); } };
    mine.onclose = (event) => {
      if (mine !== socket) return;
      socket = null;
      lost = true;
      show();
      if (event.code === 1008) refetch(); // signed out: the page leads to signing in
      // Half a second at first, at most five; spread, so that 1,000 browsers do
      // not come back in one moment.
      const wait = Math.min(5000, 500 * 2 ** tries++) * (0.7 + Math.random() * 0.6);
      timer = setTimeout(connect, wait);
    };
    mine.onerror = () => mine.close();
  }

  setInterval(() => {
    if (socket && socket.readyState === WebSocket.OPEN && Date.now() - heard > SILENCE) socket.close();
    show();
  }, 200);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !socket) { tries = 0; connect(); } });
  addEventListener("online", () => { if (!socket) connect(); });
  addEventListener("pagehide", () => { const s = socket; socket = null; if (s) s.close(); });
  addEventListener("pageshow", (event) => { if (event.persisted && !socket) { lost = true; connect(); } });
  connect();
})();
