// While a phone is awaited, asks the server how the binding stands, and loads the page anew when it moved on.
"use strict";
(() => {
  const box = document.querySelector("[data-binding]");
  if (!box || !["offered", "presented"].includes(box.dataset.shown)) {
    return;
  }
  const ask = async () => {
    const answer = await fetch(box.dataset.url, { headers: { Accept: "application/json" } }).catch(() => null);
    if (answer && answer.ok) {
      const now = await answer.json();
      if (now.state !== box.dataset.shown) {
        // Not reload: this page may be the answer to a form.
        location.assign(box.dataset.next || box.dataset.url.replace(/\/state$/, ""));
        return;
      }
    } else if (answer && answer.status === 401) {
      location.reload();
      return;
    }
    setTimeout(ask, 1500);
  };
  setTimeout(ask, 1500);
})();
