// The counter: hands the text on the screen to the local card component, gives the signature to the server, and
// follows what becomes of it. The text is taken from the page itself, so that what the holder read is what the card
// signs (HCA-8.1.3).
"use strict";
(() => {
  const box = document.querySelector("[data-counter]");
  if (!box) {
    return;
  }
  const find = (name) => box.querySelector("[data-" + name + "]");
  const words = {};
  for (const term of find("words").querySelectorAll("dt")) {
    words[term.textContent] = term.nextElementSibling.textContent;
  }
  const address = "/counter/" + box.dataset.counter;
  const button = find("sign");
  const reader = find("reader");
  let seen = { known: false, present: false, insertion: "" };
  let busy = false;
  const own = box.dataset.insertion; // of the card that this was begun with
  let ended = false;

  // What is said.

  const doing = (text) => {
    const line = find("doing");
    line.textContent = text;
    line.hidden = !text;
  };

  const refuse = (failure) => {
    doing("");
    const area = find("refusal");
    find("refusal-title").textContent = failure.title || words["say-failed"];
    find("refusal-text").textContent = failure.text;
    find("refusal-rule").hidden = !failure.clause;
    find("refusal-clause").textContent = failure.clause || "";
    find("refusal-words").textContent = failure.rule || "";
    find("refusal-id").textContent = failure.request_id ? words["say-request"] + " " + failure.request_id : "";
    area.hidden = false;
    if (button) {
      button.disabled = false;
    }
  };

  const complain = (code) => refuse({ text: words[code] || words.other + " (" + code + ")" });

  // Which card is in the reader (HCA-8.1.2). A component without events leaves this unknown.

  const remembered = () => {
    try {
      return JSON.parse(sessionStorage.getItem("insertion")) || {};
    } catch {
      return {};
    }
  };

  const remember = (id) => {
    if (id) {
      sessionStorage.setItem("insertion", JSON.stringify({ id, person: box.dataset.person }));
    }
  };

  const stale = (id) => {
    const last = remembered();
    return Boolean(id) && last.id === id && last.person !== box.dataset.person;
  };

  const look = (now) => {
    seen = now;
    const change = stale(now.insertion);
    reader.textContent = !now.known ? words["say-unknown"] : !now.present ? words["say-absent"] : change ? words["say-change"] : words["say-present"];
    reader.classList.toggle("absent", now.known && (!now.present || change));
    if (button && !busy) {
      button.disabled = now.known && (!now.present || change);
    }
    if (own && now.known && now.insertion !== own && !ended && box.dataset.state === "awaiting-signature") {
      ended = true;
      leave();
    }
  };

  // leave ends what was begun with a card that was taken out. The server refuses its signature in any case.
  const leave = async () => {
    const body = new URLSearchParams({ csrf: box.dataset.csrf });
    const reply = await fetch(address + "/removed", { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => null);
    complain("removed");
    if (reply && reply.ok) {
      follow(await reply.json());
      find("refusal").hidden = false;
    }
  };
  if (button) {
    window.cardComponent.watch(look);
  }

  const post = async (answer) => {
    doing(words["say-checking"]);
    const body = new URLSearchParams({ csrf: box.dataset.csrf, ...answer });
    const reply = await fetch(address + "/sign", { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => null);
    const data = reply && (await reply.json().catch(() => null));
    if (!data) {
      // The message may have been taken though the answer was lost: look before offering to sign again.
      refuse({ text: words["say-offline"] });
      button.disabled = true;
      return poll();
    }
    if (!reply.ok) {
      return refuse(data.failure || { text: data.detail, request_id: data.request_id });
    }
    remember(answer.insertion);
    follow(data);
  };

  const sign = async () => {
    find("refusal").hidden = true;
    if (stale(seen.insertion)) {
      return complain("same-card");
    }
    busy = true;
    button.disabled = true;
    doing(words["say-signing"]);
    const pin = find("pin");
    const order = { text: find("text").textContent, pin: pin ? pin.value : "" };
    if (pin) {
      pin.value = "";
    }
    const answer = await window.cardComponent.sign(order).catch((error) => error);
    busy = false;
    return answer instanceof Error ? complain(answer.code || "other") : post(answer);
  };

  // What becomes of it.

  const follow = (now) => {
    if (now.state !== box.dataset.state) {
      mark(now);
    }
    if (now.failure) {
      refuse(now.failure);
    }
    if (now.state === "awaiting-signature") {
      if (button) {
        button.disabled = false;
      }
      return;
    }
    if (!now.failure) {
      find("refusal").hidden = true;
    }
    if (button) {
      button.hidden = true;
      find("timer").hidden = true;
    }
    find("again").hidden = !["lapsed", "voided", "refused"].includes(now.state);
    doing(now.open ? now.label : "");
    find("after").hidden = false;
    if (now.result) {
      find("result").href = now.result;
      find("result").hidden = false;
    }
    if (!now.open) {
      find("next").focus();
    }
    if (now.open) {
      setTimeout(poll, 1500);
    }
  };

  const mark = (now) => {
    box.dataset.state = now.state;
    const steps = [...box.querySelectorAll("[data-step]")];
    const at = steps.findIndex((s) => s.dataset.step === now.state);
    if (at >= 0) {
      steps.forEach((s, i) => (s.className = i < at || now.state === "completed" ? "past" : i === at ? "here" : ""));
    }
    find("now").hidden = at >= 0;
    const label = find("now").firstElementChild;
    label.textContent = now.label;
    label.className = "state " + (now.state === "completed" ? "good" : now.open ? "wait" : "bad");
  };

  const poll = async () => {
    const reply = await fetch(address + "/state", { headers: { Accept: "application/json" } }).catch(() => null);
    if (reply && reply.ok) {
      return follow(await reply.json());
    }
    if (reply && reply.status >= 400 && reply.status < 500) {
      return location.reload(); // signed out, or not for these eyes: the page says which
    }
    setTimeout(poll, 3000);
  };

  if (button) {
    button.addEventListener("click", sign);
    find("pin")?.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) {
        button.click();
      }
    });
    const ends = Date.now() + Number(box.dataset.seconds) * 1000;
    const clock = find("clock");
    const tick = () => {
      const seconds = Math.max(0, Math.round((ends - Date.now()) / 1000));
      clock.textContent = Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0");
      if (seconds > 0) {
        setTimeout(tick, 1000);
      } else if (box.dataset.state === "awaiting-signature") {
        refuse({ text: words["say-expired"] });
        button.hidden = true;
      }
    };
    tick();
  } else if (box.dataset.open === "true") {
    setTimeout(poll, 1000);
  }
})();
