// The local card component, for every page that reads or uses an IC card: which one is there, whether a card is in
// its reader (HCA-8.1.2), whose certificate it holds, and its signature over the text that the page shows (HCA-8.1.3).
// What a component answers is a claim until the server has verified the signature. A PIN goes to the component alone.
//
//   const card = window.cardComponent;
//   await card.connect();                      finds a component among those of <body data-card="kind=origin ...">
//   const stop = card.watch((seen) => ...);    seen: {known, present, several, insertion}; known is false where the component cannot tell
//   await card.read();                         {component, certificate, card, insertion}
//   await card.sign({ text, pin });            {component, signature, certificate, card, insertion}: the fields of the page's form
//
// A failure is an Error with a code that the pages have words for.
"use strict";
window.cardComponent = (() => {
  const kinds = {};
  const failure = (code) => Object.assign(new Error(code), { code });
  const nothing = { known: false, present: false, several: false, insertion: "" };
  let found = null;
  let finding = null;
  let seen = nothing;
  const watchers = new Set();
  let interrupt = null; // ends the operation that is going on

  const configured = () =>
    (document.body.dataset.card || "").split(/\s+/).filter(Boolean).map((entry) => {
      const at = entry.indexOf("=");
      return { kind: entry.slice(0, at), origin: entry.slice(at + 1) };
    });

  // see takes in what a component tells of its readers. A card that goes ends what was begun with it.
  const see = (now) => {
    const before = seen;
    seen = now;
    if (interrupt && before.insertion && before.insertion !== now.insertion) {
      interrupt(failure("removed"));
    }
    for (const tell of watchers) {
      tell(seen);
    }
  };

  // listen follows the events of a component that has them. One that has none is asked again and again.
  const listen = (component) => {
    const stream = new EventSource(component.origin + "/events");
    stream.addEventListener("cards", (event) => {
      const list = JSON.parse(event.data);
      if (!Array.isArray(list)) {
        return;
      }
      const cards = list.filter((r) => r.present);
      see({ known: true, present: cards.length > 0, several: cards.length > 1, insertion: cards.length === 1 ? cards[0].insertion : "" });
    });
    stream.addEventListener("error", () => {
      see(nothing);
      if (stream.readyState === EventSource.CLOSED) {
        poll(component);
      }
    });
  };

  // The stay of a card that this page itself has watched. It is remembered over a reload, which is too short to tell
  // a card from another one put in meanwhile but by its number. The server is told that the page asserts it.
  const stay = {
    get: () => {
      try {
        return JSON.parse(sessionStorage.getItem("card-stay")) || {};
      } catch {
        return {};
      }
    },
    of: (number) => {
      const last = stay.get();
      if (number && last.number === number) {
        return last.id;
      }
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      const id = number ? "page-" + [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("") : "";
      sessionStorage.setItem("card-stay", JSON.stringify({ number, id }));
      return id;
    },
  };

  // poll proves a removal by the card's absence: a component without events is asked for the number of the card.
  const poll = async (component) => {
    if (!interrupt || component.quiet) {
      try {
        const number = await component.presence();
        const insertion = stay.of(number);
        if (insertion !== seen.insertion || !seen.known) {
          see({ known: true, present: Boolean(number), several: false, insertion });
        }
      } catch {
        see(nothing);
      }
    }
    setTimeout(() => poll(component), 1000);
  };

  const search = async () => {
    const list = configured();
    for (const { kind, origin } of list) {
      const component = kinds[kind] && kinds[kind](origin);
      if (component && (list.length === 1 || (await component.there()))) {
        found = { kind, origin, ...component };
        listen(found);
        return found;
      }
    }
    throw failure("no-component");
  };

  const connect = () => {
    finding ||= search().catch((error) => {
      finding = null;
      throw error;
    });
    return finding;
  };

  // during runs one operation, which a removal ends.
  const during = (run) =>
    new Promise((resolve, reject) => {
      const over = new AbortController();
      interrupt = (error) => {
        over.abort(error);
        reject(error);
      };
      run(over.signal).then(resolve, reject);
    }).finally(() => (interrupt = null));

  const operate = async (name, order) => {
    const component = found || (await connect());
    const before = seen.insertion;
    const answer = await during((signal) => component[name](order, signal));
    return { component: component.kind, certificate: "", card: "", ...answer, insertion: answer.insertion || before };
  };

  // The HiPKI component: a popup takes one request, and its answer comes back by a message. It has to be opened in a
  // user's own key press or click. What it is sent as a form is decoded once, on the component's side.

  const waitForPopup = 7000;
  const waitForCard = 150000;
  const loginFailed = 0x76100006;

  const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  const formSafe = (text) => text.replace(/[%&+]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());

  const codeOf = (answer) => {
    const hex = (answer.ret_code >>> 0).toString(16).padStart(8, "0");
    if (answer.ret_code >>> 0 !== loginFailed && ![0xa0, 0xa4].includes(answer.last_error)) {
      return hex;
    }
    const pins = { 0xa0: "pin-wrong", 0xa4: "pin-locked", 0x80000001: "pin-one", 0x80000002: "pin-two" };
    return pins[answer.last_error >>> 0] || hex;
  };

  const ask = (origin, order, signal) =>
    new Promise((resolve, reject) => {
      const popup = window.open(origin + "/popupForm", "certwindow-card", "height=200, width=200, left=100, top=20");
      if (!popup) {
        return reject(failure("no-component"));
      }
      let timer;
      const end = (settle, value) => {
        clearTimeout(timer);
        clearInterval(closed);
        window.removeEventListener("message", receive);
        if (value.code && value.code !== "closed") {
          popup.close();
        }
        settle(value);
      };
      const fail = (code) => end(reject, failure(code));
      const closed = setInterval(() => popup.closed && fail("closed"), 500);
      const receive = (event) => {
        if (event.source !== popup || event.origin !== origin || typeof event.data !== "string") {
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
          timer = setTimeout(() => fail("timeout"), waitForCard);
          popup.postMessage(formSafe(JSON.stringify(order)), origin);
        } else if (answer.ret_code !== undefined) {
          answer.ret_code === 0 ? end(resolve, answer) : fail(codeOf(answer));
        }
      };
      timer = setTimeout(() => fail("no-component"), waitForPopup);
      signal.addEventListener("abort", () => end(reject, signal.reason));
      window.addEventListener("message", receive);
    });

  // signing is the certificate of an end entity for signatures, as the component describes what is on a card.
  const signing = (answer) => {
    for (const slot of answer.slots || []) {
      const list = (slot.token && slot.token.certs) || [];
      const cert = list.find((c) => c.usage === "digitalSignature");
      if (cert) {
        return { certificate: cert.certb64, card: slot.token.serialNumber };
      }
    }
    throw failure((answer.slots || []).some((s) => s.token) ? "7610000c" : "76000006");
  };

  // drawn is what the component lays into the pixels of an image, which a page may read without a window: its readers
  // with the cards' numbers, as JSON in the blue, green and red of each pixel.
  const drawn = (origin) =>
    new Promise((resolve, reject) => {
      const image = new Image();
      image.crossOrigin = "anonymous";
      image.onerror = () => reject(failure("no-component"));
      image.onload = () => {
        const canvas = document.createElement("canvas");
        canvas.width = image.width;
        canvas.height = 1;
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0);
        const pixels = context.getImageData(0, 0, image.width, 1).data;
        let text = "";
        for (let i = 0; i < pixels.length && pixels[i + 2]; i += 4) {
          text += String.fromCharCode(pixels[i + 2], pixels[i + 1], pixels[i]);
        }
        try {
          resolve(JSON.parse(text.replace(/\0+$/, "")));
        } catch {
          reject(failure("other"));
        }
      };
      image.src = origin + "/p11Image.bmp?" + Date.now();
    });

  kinds.hipki = (origin) => ({
    quiet: true, // asking for the image disturbs no operation
    presence: async () => {
      const slot = ((await drawn(origin)).slots || []).find((s) => s.token && s.token.serialNumber);
      return slot ? slot.token.serialNumber : "";
    },
    there: () => fetch(origin + "/pkcs11info", { mode: "no-cors" }).then(() => true, () => false),
    read: async (_, signal) => {
      // The open component answers a trusted page without a window; the vendor's needs its popup.
      const direct = await fetch(origin + "/pkcs11info?withcert=true", { signal }).then((r) => r.json()).catch(() => null);
      if (direct && direct.ret_code !== 0) {
        throw failure(codeOf(direct));
      }
      return signing(direct || (await ask(origin, { func: "GetUserCert" }, signal)));
    },
    sign: async ({ text, pin }, signal) => {
      const order = { func: "MakeSignature", tbs: base64(text), tbsEncoding: "base64", hashAlgorithm: "SHA256", signatureType: "PKCS7", withCardSN: "true", nonce: "" };
      if (pin) {
        order.pin = pin;
      }
      const answer = await ask(origin, order, signal);
      if (!answer.signature) {
        throw failure("other");
      }
      return { signature: answer.signature, certificate: answer.certb64 || "", card: answer.cardSN || "", insertion: answer.insertion };
    },
  });

  return {
    kinds,
    failure,
    connect,
    watch: (callback) => {
      watchers.add(callback);
      callback(seen);
      const seek = () => connect().catch(() => watchers.has(callback) && setTimeout(seek, 3000)); // one may be started later
      seek();
      return () => watchers.delete(callback);
    },
    read: () => operate("read"),
    sign: (order) => operate("sign", order),
  };
})();
