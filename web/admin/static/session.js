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
    stay.hidden = seconds > warning;
    left.textContent = Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0");
    // Another page may have used the session meanwhile: asking is no use of it.
    if (seconds <= warning && Date.now() - asked > 15000 || seconds === 0 && Date.now() - asked > 2000) {
      asked = Date.now();
      ask("/session", "GET");
    }
  };

  const ask = async (path, method) => {
    const answer = await fetch(path, { method, headers: { Accept: "application/json", "X-CSRF-Token": stay.elements.csrf.value } }).catch(() => null);
    if (answer && answer.ok) {
      ends = Date.now() + (await answer.json()).seconds * 1000;
      show();
    } else if (answer && answer.status === 401) {
      location.assign("/login?why=session-idle&next=" + encodeURIComponent(location.pathname + location.search));
    }
  };

  stay.addEventListener("submit", (event) => {
    event.preventDefault();
    ask("/session/stay", "POST");
  });
  setInterval(show, 1000);
})();
