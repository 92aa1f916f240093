// The counter before the text: calls the next person, waits for the card to be changed (HCA-8.1.2), has the server find
// whose it is, and leaves the person's business when the card is taken out.
"use strict";
(() => {
  const box = document.querySelector("[data-desk]");
  if (!box) {
    return;
  }
  const card = window.cardComponent;
  const find = (name) => box.querySelector("[data-" + name + "]");
  const words = {};
  for (const term of find("words").querySelectorAll("dt")) {
    words[term.textContent] = term.nextElementSibling.textContent;
  }
  const reader = find("reader");
  const patience = 4000; // after which a component that tells nothing is asked by hand

  // The stay of the last card that was used at this counter; another person's business begins with another one.
  const used = () => {
    try {
      return (JSON.parse(sessionStorage.getItem("insertion")) || {}).id || "";
    } catch {
      return "";
    }
  };

  const tell = (seen, stale) => {
    reader.textContent = !seen.known ? words["say-unknown"] : !seen.present ? words["say-absent"] : seen.several ? words["say-several"] : stale ? words["say-change"] : words["say-present"];
    reader.classList.toggle("absent", seen.known && (!seen.present || seen.several || stale));
  };

  const doing = (text) => {
    find("doing").textContent = text;
    find("doing").hidden = !text;
  };

  const refuse = (failure) => {
    doing("");
    find("refusal-title").textContent = failure.title || words["say-failed"];
    find("refusal-text").textContent = failure.text;
    find("refusal-rule").hidden = !failure.clause;
    find("refusal-clause").textContent = failure.clause || "";
    find("refusal-words").textContent = failure.rule || "";
    find("refusal-id").textContent = failure.request_id ? words["say-request"] + " " + failure.request_id : "";
    find("refusal").hidden = false;
  };

  const complain = (code) => refuse({ text: words[code] || words.other + " (" + code + ")" });

  const next = () => {
    let reading = false;
    let failed = ""; // the stay of a card that could not be read, so that it is not read again and again
    const byHand = find("read");

    const read = async () => {
      if (reading) {
        return;
      }
      reading = true;
      find("refusal").hidden = true;
      doing(words["say-reading"]);
      const answer = await card.read().catch((error) => error);
      if (answer instanceof Error) {
        complain(answer.code || "other");
      } else {
        await post(answer);
      }
      reading = false;
    };

    const post = async (answer) => {
      const body = new URLSearchParams({ csrf: box.dataset.csrf, certificate: answer.certificate, card: answer.card, insertion: answer.insertion });
      const reply = await fetch("/counter/card", { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => null);
      const data = reply && (await reply.json().catch(() => null));
      if (data && reply.ok) {
        return location.assign(data.location);
      }
      refuse(!data ? { text: words["say-offline"] } : data.failure || { text: data.detail, request_id: data.request_id });
    };

    find("next").hidden = true;
    find("wait").hidden = false;
    history.replaceState(null, "", "/counter?next=1"); // a reload goes on waiting
    byHand.addEventListener("click", read);
    let known = false;
    card.watch((seen) => {
      known ||= seen.known;
      const stale = Boolean(seen.insertion) && seen.insertion === used();
      tell(seen, stale);
      if (seen.known && seen.present && !seen.several && !stale && seen.insertion !== failed) {
        failed = seen.insertion;
        read();
      }
    });
    setTimeout(() => {
      if (!known) {
        byHand.hidden = false;
        byHand.focus();
      }
    }, patience);
  };

  switch (box.dataset.desk) {
    case "next":
      find("next").addEventListener("click", next, { once: true });
      if (new URLSearchParams(location.search).has("next")) {
        next();
      }
      break;
    default: {
      const own = box.dataset.insertion;
      card.watch((seen) => {
        tell(seen, false);
        if (own && seen.known && seen.insertion !== own) {
          location.assign("/counter?next=1"); // the card was taken out: this business is over
        }
      });
    }
  }
})();
