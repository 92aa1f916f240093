// The keyboard, and the warning two minutes before an unused session ends (HCA-8.1.1). The server alone ends it:
// without this script nothing is lost but the warning.
"use strict";
(() => {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) {
      return;
    }
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "/" && !typing) {
      const search = document.querySelector("[data-search]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    } else if (event.key === "Escape") {
      const up = document.querySelector("link[rel=up]");
      if (typing) {
        event.target.blur();
      } else if (up) {
        location.assign(up.href);
      }
    }
  });

  const stay = document.querySelector("[data-stay]");
  if (!stay) {
    return;
  }
  const warning = 120;
  const left = stay.querySelector("[data-left]");
  let ends = Date.now() + Number(document.body.dataset.idle) * 1000;
  let asked = 0;

  const show = () => {
    const seconds = Math.max(0, Math.round((ends - Date.now()) / 1000));
    if (stay.hidden && seconds <= warning) {
      keep();
    }
    stay.hidden = seconds > warning;
    left.textContent = Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0");
    // Another page may have used the session meanwhile: asking is no use of it.
    if (seconds <= warning && Date.now() - asked > 15000 || seconds === 0 && Date.now() - asked > 2000) {
      asked = Date.now();
      ask("/session", "GET");
    }
  };

  // What was typed and not sent is kept on the server for the same account, when the end is near or has come: never
  // here, where the next person at the counter would find it. Keeping it is no use of the session.

  const secret = (field) => field.type === "password" || field.type === "file" || field.autocomplete === "one-time-code";
  const forms = [...document.querySelectorAll("main form[method=post]:not([data-private])")];
  let typed = document.querySelector("form[data-restored]") || (document.querySelector("main [aria-invalid=true]") || {}).form || null;
  let saving = 0;

  const keep = async () => {
    if (!typed) {
      return false;
    }
    const secrets = new Set([...typed.elements].filter(secret).map((field) => field.name));
    const fields = [...new FormData(typed)].filter(([name, value]) => name !== "csrf" && !secrets.has(name) && typeof value === "string");
    const body = new URLSearchParams({ csrf: stay.elements.csrf.value, page: location.pathname + location.search,
      action: new URL(typed.action).pathname, form: new URLSearchParams(fields).toString() });
    const answer = await fetch("/session/draft", { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => null);
    return Boolean(answer && answer.ok);
  };

  const keepSoon = () => {
    clearTimeout(saving);
    saving = setTimeout(keep, 1000);
  };

  for (const form of forms) {
    form.addEventListener("input", () => {
      typed = form;
      if (!stay.hidden) {
        keepSoon();
      }
    });
  }

  const leave = async (answer) => {
    const { code } = await answer.json().catch(() => ({}));
    const kept = await keep();
    const why = code && code !== "no-session" ? code : "session-ended";
    location.assign("/login?why=" + encodeURIComponent(why) + "&next=" + encodeURIComponent(location.pathname + location.search) + (kept ? "&kept=yes" : ""));
  };

  const ask = async (path, method) => {
    const answer = await fetch(path, { method, headers: { Accept: "application/json", "X-CSRF-Token": stay.elements.csrf.value } }).catch(() => null);
    if (answer && answer.ok) {
      ends = Date.now() + (await answer.json()).seconds * 1000;
      show();
    } else if (answer && answer.status === 401) {
      await leave(answer);
    }
  };

  stay.addEventListener("submit", (event) => {
    event.preventDefault();
    ask("/session/stay", "POST");
  });
  setInterval(show, 1000);
})();
