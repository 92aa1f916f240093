// The counter: hands the text on the screen to the local card component through its popup, gives the signature
// to the server, and follows what becomes of it. The text is taken from the page itself, so that what the holder
// read is what the card signs (HCA-8.1.3). A PIN, where the page has to ask for it, goes to the component alone.
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
  const component = box.dataset.card;
  const address = "/counter/" + box.dataset.counter;
  const button = find("sign");
  const reader = find("reader");
  const loginFailed = 0x76100006;
  const waitForPopup = 7000;
  const waitForCard = 150000;

  let insertion = "";
  let watched = false; // the component tells of cards that come and go
  let signing = null;

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

  const cards = (list) => {
    watched = true;
    const present = list.filter((r) => r.present);
    const before = insertion;
    insertion = present.length === 1 ? present[0].insertion : "";
    const change = stale(insertion);
    reader.textContent = present.length === 0 ? words["say-absent"] : change ? words["say-change"] : words["say-present"];
    reader.classList.toggle("absent", present.length === 0 || change);
    if (signing && before && before !== insertion) {
      signing.end("removed");
    }
    if (button && !signing) {
      button.disabled = present.length === 0 || change;
    }
  };

  if (button && "EventSource" in window) {
    const stream = new EventSource(component + "/events");
    stream.addEventListener("cards", (event) => {
      const list = JSON.parse(event.data);
      if (Array.isArray(list)) {
        cards(list);
      }
    });
    stream.addEventListener("error", () => {
      if (watched) {
        watched = false;
        insertion = "";
        reader.textContent = words["say-unknown"];
        reader.classList.remove("absent");
      }
      if (stream.readyState === EventSource.CLOSED && !signing) {
        button.disabled = false;
      }
    });
  }

  // The popup takes one request. What it is sent as a form is decoded once, on the component's side.

  const base64 = (text) => {
    let binary = "";
    for (const byte of new TextEncoder().encode(text)) {
      binary += String.fromCharCode(byte);
    }
    return btoa(binary);
  };

  const formSafe = (text) => text.replace(/[%&+]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());

  const request = () => {
    const order = {
      func: "MakeSignature",
      tbs: base64(find("text").textContent),
      tbsEncoding: "base64",
      hashAlgorithm: "SHA256",
      signatureType: "PKCS7",
      withCardSN: "true",
      nonce: "",
    };
    const pin = find("pin");
    if (pin) {
      order.pin = pin.value;
      pin.value = "";
    }
    return formSafe(JSON.stringify(order));
  };

  const codeOf = (answer) => {
    const hex = (answer.ret_code >>> 0).toString(16).padStart(8, "0");
    if ((answer.ret_code >>> 0) !== loginFailed && ![0xa0, 0xa4].includes(answer.last_error)) {
      return hex;
    }
    switch (answer.last_error) {
      case 0xa4:
        return "pin-locked";
      case -2147483646:
      case 0x80000002:
        return "pin-two";
      case -2147483647:
      case 0x80000001:
        return "pin-one";
      case 0xa0:
        return "pin-wrong";
    }
    return hex;
  };

  // One signature: from the click to the component's answer, which resolves to the answer or to a code.
  const ask = (popup) =>
    new Promise((resolve) => {
      let timer = setTimeout(() => signing.end("no-component"), waitForPopup);
      const closed = setInterval(() => popup.closed && signing.end("closed"), 500);
      const receive = (event) => {
        if (event.source !== popup || event.origin !== component || typeof event.data !== "string") {
          return;
        }
        let answer;
        try {
          answer = JSON.parse(event.data);
        } catch {
          return;
        }
        if (answer.func === "getTbs") {
          clearTimeout(timer);
          timer = setTimeout(() => signing.end("timeout"), waitForCard);
          doing(words["say-signing"]);
          popup.postMessage(request(), component);
        } else if (answer.func === "sign") {
          signing.end(answer);
        }
      };
      signing = {
        end: (result) => {
          clearTimeout(timer);
          clearInterval(closed);
          window.removeEventListener("message", receive);
          signing = null;
          if (typeof result === "string" && result !== "closed") {
            popup.close();
          }
          resolve(result);
        },
      };
      window.addEventListener("message", receive);
    });

  const post = async (answer) => {
    doing(words["say-checking"]);
    const body = new URLSearchParams({ csrf: box.dataset.csrf, signature: answer.signature, insertion: answer.insertion || insertion });
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
    remember(answer.insertion || insertion);
    follow(data);
  };

  const sign = async () => {
    find("refusal").hidden = true;
    if (stale(insertion)) {
      return complain("same-card");
    }
    button.disabled = true;
    doing(words["say-component"]);
    const popup = window.open(component + "/popupForm", "certwindow-card", "height=200, width=200, left=100, top=20");
    if (!popup) {
      return complain("no-component");
    }
    const answer = await ask(popup);
    if (typeof answer === "string") {
      return complain(answer);
    }
    if (answer.ret_code !== 0 || !answer.signature) {
      return complain(codeOf(answer));
    }
    return post(answer);
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
    if (now.result) {
      find("result").querySelector("a").href = now.result;
      find("result").hidden = false;
      find("result").querySelector("a").focus();
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
