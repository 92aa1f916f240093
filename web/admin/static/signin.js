// Signing in by card, and linking a card to an account: the card signs exactly the text that the page shows
// (HCA-8.1.3), and the form takes the signature to the server. A PIN goes to the component alone.
"use strict";
(() => {
  const form = document.querySelector("[data-card-sign]");
  if (!form) {
    return;
  }
  const find = (name) => form.querySelector("[data-" + name + "]");
  const words = {};
  for (const term of find("words").querySelectorAll("dt")) {
    words[term.textContent] = term.nextElementSibling.textContent;
  }
  const button = find("sign");
  const pin = find("pin");
  let absent = false;
  let busy = false;

  const doing = (text) => {
    find("doing").textContent = text;
    find("doing").hidden = !text;
  };

  window.cardComponent.watch((seen) => {
    absent = seen.known && !seen.present;
    const reader = find("reader");
    reader.textContent = !seen.known ? words["say-unknown"] : absent ? words["say-absent"] : words["say-present"];
    reader.classList.toggle("absent", absent);
    if (!busy) {
      button.disabled = absent;
    }
  });

  const refuse = (code) => {
    doing("");
    find("refusal-text").textContent = words[code] || words.other + " (" + code + ")";
    find("refusal").hidden = false;
    button.disabled = absent;
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) {
      return;
    }
    busy = true;
    button.disabled = true;
    find("refusal").hidden = true;
    doing(words["say-signing"]);
    const order = { text: find("text").textContent, pin: pin ? pin.value : "" };
    if (pin) {
      pin.value = "";
    }
    const answer = await window.cardComponent.sign(order).catch((error) => error);
    if (answer instanceof Error) {
      busy = false;
      return refuse(answer.code || "other");
    }
    for (const name of ["component", "signature", "certificate", "insertion"]) {
      form.elements[name].value = answer[name] || "";
    }
    doing(words["say-checking"]);
    form.submit();
  });

  // A text that nobody signed in time is of no use any more: a new one takes its place.
  const renew = () => (busy ? setTimeout(renew, 1000) : location.replace(form.dataset.again));
  setTimeout(renew, Number(form.dataset.seconds) * 1000);
})();
