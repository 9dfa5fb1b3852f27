// What a page can do beyond plain links and forms. Everything works without it.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  // --- Times: UTC from the server, shown in the reader's zone -----------------
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const format = (options) => new Intl.DateTimeFormat("en-GB", { hour12: false, ...options });
  const clock = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const minute = format({ hour: "2-digit", minute: "2-digit" });
  const shortDay = format({ day: "numeric", month: "short" });
  const longDay = format({ day: "numeric", month: "short", year: "numeric" });
  const weekday = format({ weekday: "short" });
  const sameDay = (a, b) => longDay.format(a) === longDay.format(b);
  const started = Date.now();
  const serverStart = Number(document.body.dataset.now) || started;
  let skew = started - serverStart;
  const serverNow = () => Date.now() - skew;

  function ago(date) {
    const s = Math.max(0, (serverNow() - date) / 1000);
    const words = (n, word) => `${n} ${word}${n === 1 ? "" : "s"} ago`;
    if (s < 2) return "just now";
    if (s < 60) return `${Math.round(s)} s ago`;
    if (s < 3600) return words(Math.floor(s / 60), "minute");
    if (s < 86400) return words(Math.floor(s / 3600), "hour");
    return words(Math.floor(s / 86400), "day");
  }

  function timeText(date, style) {
    switch (style) {
      case "clock-ms": return `${clock.format(date)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
      case "clock": return clock.format(date);
      case "minute": return minute.format(date);
      case "short": return `${sameDay(date, new Date()) ? "Today" : shortDay.format(date)} ${minute.format(date)}`;
      case "full": return `${weekday.format(date)} ${longDay.format(date)} ${clock.format(date)}`;
      case "ago": return ago(date);
      case "opening": return `${weekday.format(date)} ${shortDay.format(date)} ${minute.format(date)}${town ? "" : " UTC"}`;
      case "local-hour": return town ? minute.format(date) : "";
      case "local-span": return town ? `${weekdayLong.format(date)} ${minute.format(date)}–${minute.format(new Date(+date + WINDOW))} in ${town}${clocks(date)}` : "";
      case "aside": return town ? `(${timeText(date, "beside")})` : "";
      case "beside": return town ? `${date.getDay() === date.getUTCDay() ? "" : weekday.format(date) + " "}${minute.format(date)} in ${town}${clocks(date)}` : "";
    }
    return `${longDay.format(date)} ${minute.format(date)}`;
  }

  // The reader's town stands beside UTC wherever a window is chosen; in UTC itself nothing does.
  const WINDOW = 4 * 3600 * 1000;
  const town = /^(Etc\/|UTC|GMT)/.test(zone) ? "" : zone.split("/").pop().replaceAll("_", " ");
  const weekdayLong = format({ weekday: "long" });
  // clocks says when the clocks change on the day of a maintenance, or while it may run.
  function clocks(date) {
    const midnight = new Date(date.getFullYear(), date.getMonth(), date.getDate());
    return midnight.getTimezoneOffset() === new Date(+date + WINDOW).getTimezoneOffset() ? "" : ", the clocks change that night";
  }

  // momentText is what stands below a day and a half hour of a form.
  function momentText(box) {
    const day = box.querySelector("[data-moment-date]"), at = box.querySelector("[data-moment-time]"), local = box.querySelector("[data-moment-local]");
    if (!day || !at || !local) return;
    const date = new Date(`${day.value}T${at.value}:00Z`);
    local.textContent = !day.value || isNaN(date) || !town ? "" :
      `${weekday.format(date)} ${shortDay.format(date)} ${minute.format(date)} in ${town}${clocks(date)}`;
  }

  // windowText is what stands below the day and hour of a weekly window: its next opening.
  function windowText(form) {
    const local = form.querySelector("[data-window-local]"), at = form.elements.time.value;
    const now = new Date(serverNow()), days = (Number(form.elements.weekday.value) - now.getUTCDay() + 7) % 7;
    const opens = (later) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + days + later, at.slice(0, 2), at.slice(3)));
    const next = opens(0) < now ? opens(7) : opens(0);
    local.textContent = town ? `Opens next on ${timeText(next, "local-span")}` : "";
  }

  function zoneText() {
    const minutes = -new Date().getTimezoneOffset();
    if (minutes === 0) return "Times in UTC";
    const h = Math.floor(Math.abs(minutes) / 60), m = Math.abs(minutes) % 60;
    return `Times in ${zone} (UTC${minutes < 0 ? "−" : "+"}${h}${m ? ":" + String(m).padStart(2, "0") : ""})`;
  }

  // besides puts the reader's own time after each moment of a sentence that names
  // it in UTC; what has it already stays as it is.
  function besides(box) {
    const texts = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const text = texts.currentNode;
      if (!town || !text.data.includes("UTC")) continue;
      const fresh = text.data.replace(/(\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d UTC)(?! \()/g, (moment) => {
        const date = new Date(moment);
        return isNaN(date) ? moment : `${moment} ${timeText(date, "aside")}`;
      });
      if (fresh !== text.data) text.data = fresh;
    }
  }

  // localise rewrites the times below node; fragments are rewritten before they
  // are morphed in, so that an unchanged time does not flicker.
  function localise(node) {
    for (const el of node.querySelectorAll("time[data-style]")) {
      const date = new Date(el.dateTime);
      if (isNaN(date)) continue;
      const text = timeText(date, el.dataset.style);
      if (el.textContent !== text) el.textContent = text;
    }
    for (const el of node.querySelectorAll("[data-zone]")) el.textContent = zoneText();
    for (const el of node.querySelectorAll("[data-town]")) el.textContent = town;
    for (const el of node.querySelectorAll("[data-moment]")) momentText(el);
    for (const el of node.querySelectorAll("[data-window]")) windowText(el);
    for (const el of node.querySelectorAll("[data-sentences]")) besides(el);
    for (const el of node.querySelectorAll("button[form=act]")) el.type = "submit";
  }
  localise(document);

  // --- What ticks --------------------------------------------------------------
  const thousands = new Intl.NumberFormat("en-US");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  function tick() {
    const now = serverNow();
    for (const el of document.querySelectorAll("[data-clock-since]")) el.textContent = Math.max(0, (now - el.dataset.clockSince) / 1000).toFixed(3);
    for (const el of document.querySelectorAll("[data-elapsed-since]")) el.value = Math.max(0, now - el.dataset.elapsedSince);
    for (const el of document.querySelectorAll("[data-ms-since]")) el.textContent = thousands.format(Math.max(0, Math.round(now - el.dataset.msSince)));
  }
  setInterval(() => {
    if (document.querySelector("[data-clock-since],[data-elapsed-since],[data-ms-since]")) tick();
  }, still.matches ? 1000 : 100);
  setInterval(() => {
    for (const el of document.querySelectorAll('time[data-style="ago"]')) el.textContent = ago(new Date(el.dateTime));
  }, 5000);

  // --- Theme -------------------------------------------------------------------
  const dark = matchMedia("(prefers-color-scheme: dark)");
  function switchTheme() {
    const shown = root.dataset.theme || (dark.matches ? "dark" : "light");
    const wanted = shown === "dark" ? "light" : "dark";
    const asSystem = wanted === (dark.matches ? "dark" : "light");
    if (asSystem) delete root.dataset.theme;
    else root.dataset.theme = wanted;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `theme=${asSystem ? "" : wanted}; Path=/; Max-Age=${asSystem ? 0 : 31536000}; SameSite=Lax${secure}`;
    document.dispatchEvent(new Event("changeover:theme"));
  }
  dark.addEventListener("change", () => document.dispatchEvent(new Event("changeover:theme")));

  // --- Fetching a page and taking parts of it --------------------------------------
  const act = () => document.getElementById("act");

  function morph(old, fresh) {
    localise(fresh);
    if (!window.Idiomorph) { old.replaceWith(fresh); return; }
    Idiomorph.morph(old, fresh, {
      morphStyle: "outerHTML",
      ignoreActiveValue: true,
      callbacks: {
        beforeNodeMorphed: (a, b) => {
          // What was revealed stays until its reader hides it or leaves.
          if (a.nodeType === 1 && a.dataset.revealed) return false;
          if (a.nodeType !== 1 || !a.hasAttribute("data-keep")) return true;
          // What a script has drawn stays; it is told of the new data.
          if (b.dataset && b.dataset.plot && b.dataset.plot !== a.dataset.plot) {
            a.dataset.plot = b.dataset.plot;
            a.dispatchEvent(new Event("changeover:data"));
          }
          return false;
        },
        beforeAttributeUpdated: (name, el) => {
          if (name === "open" && el.tagName === "DETAILS") return false;
          if (name === "hidden" && el.id === "reconnecting") return false;
          if ((name === "value" || name === "checked") && el.matches("input, textarea, select") && el.dataset.typed) return false;
          if (name === "selected" && el.closest("select")?.dataset.typed) return false;
          // Fragments are the same for everybody, so their forms carry no token.
          if (name === "value" && el.name === "csrf_token") return false;
          if (name === "style" || name === "data-typed") return false;
          return true;
        },
      },
    });
    // A form that came with a fragment has no token of its own.
    for (const el of document.querySelectorAll("input[name=csrf_token][value='']")) el.value = act().elements.csrf_token.value;
    // What was typed stays, so what is said of it stays, too.
    for (const el of document.querySelectorAll("[data-moment]")) momentText(el);
    document.dispatchEvent(new Event("changeover:morphed"));
    drawPlot();
  }

  // The plot's scripts are fetched only where a plot is, also when it came later.
  const loaded = {};
  const load = (src) => loaded[src] ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = src;
    script.onload = done;
    script.onerror = failed;
    document.head.append(script);
  });
  async function drawPlot() {
    for (const figure of document.querySelectorAll("figure[data-plot]:not([data-drawn])")) {
      figure.dataset.drawn = "1";
      await load(figure.dataset.library);
      await load(figure.dataset.script);
      window.changeover.plot(figure);
    }
  }

  const parse = (html) => new DOMParser().parseFromString(html, "text/html");

  async function page(url, options) {
    const answer = await fetch(url, { credentials: "same-origin", headers: { Accept: "text/html" }, ...options });
    return { answer, doc: parse(await answer.text()) };
  }

  function take(doc, id) {
    const fresh = doc.getElementById(id), old = document.getElementById(id);
    if (!fresh || !old) return false;
    morph(old, document.importNode(fresh, true));
    return true;
  }

  // A live refresh brings the page without secrets, and must not close one that is open.
  function reveal(id, is) {
    const el = document.getElementById(id);
    if (el && is) el.dataset.revealed = "1";
    else if (el) delete el.dataset.revealed;
  }

  const post = (url) => page(url, { method: "POST", body: new URLSearchParams({ csrf_token: act().elements.csrf_token.value }) });

  // --- Copying -----------------------------------------------------------------------
  async function copy(text, button) {
    const label = button.querySelector("[data-copy-label]");
    const before = label ? label.textContent : "";
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      done = document.execCommand("copy");
      area.remove();
    }
    if (label) {
      label.textContent = done ? "Copied" : "Not copied";
      setTimeout(() => { label.textContent = before; }, 1600);
    }
    button.dataset.copied = done;
    say(done ? "Copied." : "It could not be copied; select it by hand.");
  }

  const sayer = document.createElement("p");
  sayer.className = "sr";
  sayer.setAttribute("role", "status");
  document.body.append(sayer);
  function say(text) { sayer.textContent = ""; setTimeout(() => { sayer.textContent = text; }, 50); }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button, a");
    if (!button) return;
    const data = button.dataset;
    if (data.themeSwitch !== undefined) switchTheme();
    else if (data.print !== undefined) print();
    else if (data.copyLink !== undefined) copy(location.href.split("#")[0], button);
    else if (data.copy) copy(document.getElementById(data.copy)?.textContent.trim() ?? "", button);
    else if (data.copyReveal) {
      const { answer, doc } = await post(data.copyReveal);
      const url = doc.getElementById("connection-url");
      if (url) copy(url.textContent.trim(), button);
      else location.assign(answer.url);
    } else if (data.take && button.form === act()) {
      event.preventDefault();
      const { answer, doc } = await post(button.formAction);
      reveal(data.take, false);
      if (take(doc, data.take)) reveal(data.take, true);
      else location.assign(answer.url);
    } else if (data.hide) {
      event.preventDefault();
      const { doc } = await page(location.href);
      reveal(data.hide, false);
      take(doc, data.hide);
    }
  });

  // --- A page whose servers had not answered asks again until they have -----------------
  async function again() {
    while (document.querySelector("main [data-again]") && !("answer" in document.body.dataset)) {
      await new Promise((done) => setTimeout(done, 600));
      if (document.hidden || document.querySelector("form[data-sent]")) continue;
      try {
        const { answer, doc } = await page(location.href);
        if (answer.ok && !document.querySelector("form[data-sent]")) take(doc, "main");
      } catch { /* the next time */ }
    }
  }
  again();

  // --- Forms: once, and what was typed stays ---------------------------------------------
  document.addEventListener("submit", (event) => {
    const form = event.target, button = event.submitter;
    if (event.defaultPrevented || form.method === "get") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    // The answer to a form that is refused is at no address; this one shows what may still be done.
    const from = form.elements.form_page || document.createElement("input");
    Object.assign(from, { type: "hidden", name: "form_page", value: document.body.dataset.answer || location.pathname + location.search });
    form.append(from);
    if (button) button.setAttribute("aria-busy", "true");
    // The back button brings the page out of the cache, ready to be sent again.
    setTimeout(() => { delete form.dataset.sent; if (button) button.removeAttribute("aria-busy"); }, 8000);
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.forms) delete form.dataset.sent;
    for (const b of document.querySelectorAll("[aria-busy]")) b.removeAttribute("aria-busy");
  });
  document.addEventListener("input", (event) => {
    event.target.dataset.typed = "1";
    // A radio that is chosen unchooses the others: a fragment must not choose one of them again.
    if (event.target.type === "radio") {
      for (const el of document.querySelectorAll(`input[type=radio][name="${CSS.escape(event.target.name)}"]`)) if (el.form === event.target.form) el.dataset.typed = "1";
    }
    if (event.target.form?.dataset.window !== undefined) windowText(event.target.form);
    const moment = event.target.closest("[data-moment]");
    if (!moment) return;
    momentText(moment);
    // Whoever types a time means that time. Other choices may stand in the same group.
    const other = moment.querySelector("[data-moment-choose]");
    if (other && event.target.matches("[data-moment-date], [data-moment-time]") && !other.checked) {
      for (const radio of other.form.elements[other.name]) radio.dataset.typed = "1";
      other.checked = true;
    }
  });

  // Choices that show another plan, method or follower ask for the page again.
  let choosing = 0;
  document.addEventListener("change", async (event) => {
    const form = event.target.form;
    if (!form || form.dataset.choose === undefined) return;
    const mine = ++choosing;
    const chosen = new URLSearchParams(new FormData(form));
    // Another plan asks anew for what was chosen for the one before.
    if (event.target.dataset.resets) chosen.delete(event.target.dataset.resets);
    const url = `${form.action}?${chosen}`;
    const { answer, doc } = await page(url);
    if (mine !== choosing) return;
    if (!answer.ok) { location.assign(url); return; }
    for (const el of document.querySelectorAll("[form=choose]")) delete el.dataset.typed;
    history.replaceState(null, "", url);
    take(doc, "main");
  });

  // --- Keys and focus ----------------------------------------------------------------------
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input, textarea, select, [contenteditable]")) {
      const search = document.getElementById("search");
      if (search && search.offsetParent) { event.preventDefault(); search.focus(); search.select(); }
    }
    if (event.key === "Escape") {
      for (const d of document.querySelectorAll("details.account[open]")) { d.open = false; d.querySelector("summary").focus(); }
    }
  });
  document.addEventListener("click", (event) => {
    for (const d of document.querySelectorAll("details.account[open]")) if (!d.contains(event.target)) d.open = false;
  });
  document.querySelector("[data-focus]")?.focus();
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".error-summary a[href^='#']");
    const field = link && document.getElementById(link.hash.slice(1));
    if (!field) return;
    event.preventDefault();
    // Of a group, what can be chosen in it: a fieldset shows no focus.
    const choice = field.matches("fieldset, div") && (field.querySelector("input:checked") || field.querySelector("input:not([type=hidden]), select, textarea")) || field;
    choice.focus();
    choice.scrollIntoView({ block: "center" });
  });

  // So is what asks for passkeys.
  const keys = document.querySelector("[data-passkey]");
  if (keys && keys.dataset.passkeyScript) load(keys.dataset.passkeyScript);

  window.changeover = { morph, take, page, localise, serverNow, setServerNow: (ms) => { skew = Date.now() - ms; } };
  drawPlot();
})();
