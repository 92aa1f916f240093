// The page of the counter's computer: it tests each part that a card is read through, one after the other, and says
// what is wrong with the first that fails. It reads nothing of a card but whether there is one.
"use strict";
(() => {
  const list = document.querySelector("[data-tests]");
  const again = document.querySelector("[data-again]");
  const words = list.dataset;
  const word = (name) => document.querySelector(`[data-words] [data-word="${name}"]`)?.textContent || name;
  const looks = { good: "good", bad: "bad", open: "over" };

  // tell shows what a test found: good, bad, or neither.
  const tell = (test, how, found) => {
    const row = list.querySelector(`[data-test="${test}"]`);
    const state = row.querySelector("[data-state]");
    state.className = "state " + looks[how];
    state.textContent = words[how];
    row.querySelector("[data-found]").textContent = word(found);
    row.dataset.found = found;
  };

  // permission is what the browser says of reaching programs on this computer: its name has changed between versions.
  const permission = async () => {
    for (const name of ["loopback-network", "local-network-access", "local-network"]) {
      try {
        return (await navigator.permissions.query({ name })).state;
      } catch {
        continue;
      }
    }
    return "unknown";
  };

  // nearby tells whether this page comes from an address for which a browser asks no permission.
  const nearby = /^(localhost|.*\.localhost|127\..*|10\..*|192\.168\..*|172\.(1[6-9]|2\d|3[01])\..*|169\.254\..*|\[(::1|f[cd].*|fe80.*)\])$/.test(location.hostname);

  const patience = 5000;
  const bounded = (promise, otherwise) => Promise.race([promise, new Promise((resolve) => setTimeout(() => resolve(otherwise), patience))]);

  const components = () =>
    (document.body.dataset.card || "").split(/\s+/).filter(Boolean).map((entry) => {
      const at = entry.indexOf("=");
      return { kind: entry.slice(0, at), origin: entry.slice(at + 1) };
    });

  const reach = async () => {
    for (const { kind, origin } of components()) {
      const make = window.cardComponent.kinds[kind];
      const component = make && make(origin);
      if (component && (await bounded(component.there().catch(() => false), false))) {
        return { kind, origin, ...component };
      }
    }
    return null;
  };

  // readers asks a component that trusts this site for its readers; null where it does not let the page see them.
  const readers = async (component) => {
    if (component.kind !== "hipki") {
      return null;
    }
    try {
      const answer = await bounded(fetch(component.origin + "/pkcs11info").then((r) => r.json()), null);
      return answer && Array.isArray(answer.slots) ? answer.slots : null;
    } catch {
      return null;
    }
  };

  const rest = (...tests) => tests.forEach((t) => tell(t, "open", "skipped"));

  const cards = async (component) => {
    const slots = await readers(component);
    if (component.kind === "hipki") {
      tell("trust", slots ? "good" : "bad", slots ? "trust-ok" : "trust-none");
    } else {
      tell("trust", "open", "trust-unknown");
    }
    if (slots) {
      tell("reader", slots.length ? "good" : "bad", slots.length ? "reader-ok" : "reader-none");
      const full = slots.filter((s) => s.token);
      return tell("card", full.length === 1 ? "good" : "bad", full.length > 1 ? "card-several" : full.length ? "card-ok" : "card-none");
    }
    try {
      const number = await bounded(component.presence(), "");
      tell("reader", number ? "good" : "open", number ? "reader-ok" : "reader-unknown");
      tell("card", number ? "good" : "bad", number ? "card-ok" : "card-none");
    } catch {
      tell("reader", "open", "reader-unknown");
      tell("card", "bad", "card-none");
    }
  };

  const run = async () => {
    again.disabled = true;
    list.setAttribute("aria-busy", "true");
    for (const row of list.querySelectorAll("[data-test]")) {
      tell(row.dataset.test, "open", "waiting");
    }
    tell("browser", window.isSecureContext ? "good" : "bad", window.isSecureContext ? "browser-ok" : "browser-insecure");
    const component = await reach();
    let now = await permission();
    if (now !== "denied" && (nearby || (component && now === "prompt"))) {
      now = "needless";
    }
    tell("permission", { granted: "good", needless: "good", denied: "bad", prompt: "bad" }[now] || "open", "permission-" + now);
    if (component) {
      tell("component", "good", "component-" + component.kind);
      await cards(component);
    } else {
      tell("component", "bad", { denied: "component-denied", prompt: "component-blocked" }[now] || "component-none");
      rest("trust", "reader", "card");
    }
    list.removeAttribute("aria-busy");
    list.dataset.done = "yes";
    again.disabled = false;
    again.hidden = false;
  };

  again.addEventListener("click", run);
  run();
})();
