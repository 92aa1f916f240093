// HCAServiSign for card.js: every call is a form of one member, base64 of a JSON object, answered by the component
// itself, so that no popup is needed. What comes is a bare signature over the text; the server wraps it.
"use strict";
(() => {
  const { kinds, failure } = window.cardComponent;
  const module = "HCAPKCS11.dll";
  const sha256 = 0x40; // CKM_SHA256_RSA_PKCS
  const bigEndian = 0;
  const index = { ATL_InitModule: 0, ATL_InitSession: 2, ATL_CloseSession: 3, ATL_GetKeyObjectHandle: 5, ATL_DeleteKeyObject: 6,
    ATL_GetCertificateFromGPKICard: 7, ATL_GetErrorCode: 46, ATL_GetHCACardSN: 60, ATL_MakeSignatureEx2: 66, ATL_CloseModuleEx: 71 };
  const codes = { 9039: "pin-wrong", 9041: "pin-wrong", 9043: "pin-locked", 9018: "removed", 9056: "76000006", 9057: "76000006", 9110: "76100005",
    9111: "76100003", 9112: "76100003", 9021: "76000999", 5010: "7610000c", 5011: "76500002", 5012: "76500001", 61908: "76000031" };

  const encode = (text) => encodeURIComponent(btoa(String.fromCharCode(...new TextEncoder().encode(text))));
  const decode = (b64) => new TextDecoder().decode(Uint8Array.from(atob(b64 || ""), (c) => c.charCodeAt(0)));

  // open gives a way to call one component, with the session that it gave this page.
  const open = async (origin, signal) => {
    let session = "";
    let insertion = "";
    let ending = false; // what closes a session is sent however the operation ended
    const send = async (name, values) => {
      const call = { functionname: name, comname: "HCAServiSignAdapter", libdir: "HCAServiSignAdapter", sessionid: session, ServiSignTabMode: 0,
        ServiSignBrowser: "Chrome", JSVersion: "1.0.18.1219", minlibversion: "0.0.0.0", minserverversion: "0.0.0.0",
        InstallerName: "HCAServiSignAdapterSetup", AdapterJsonKeyCheck: true, ServiSignFunctionIndex: index[name] };
      for (const [key, value] of Object.entries(values || {})) {
        call[key] = typeof value === "string" ? encode(value) : value;
        if (typeof value === "string") {
          call[key + "_ServiSignBase64Flag"] = true;
        }
      }
      for (;;) {
        const body = "Parameter=" + encode(JSON.stringify(call));
        const reply = await fetch(origin + "/", { method: "POST", body, signal: ending ? undefined : signal, headers: { "Content-Type": "application/x-www-form-urlencoded" } })
          .then((r) => r.json())
          .catch(() => {
            throw signal?.reason instanceof Error && signal.reason.code ? signal.reason : failure("no-component");
          });
        const result = decode(reply.result);
        if (result !== "heartbeat") {
          session ||= decode(reply.SessionID);
          insertion = reply.Insertion || insertion;
          return result;
        }
        call.KeepAlive = true;
        call.ServiSignMainThread = true;
      }
    };
    // must calls a function that has to give something, and turns its error code into ours.
    const must = async (name, values) => {
      const result = await send(name, values);
      if (result !== "" && result !== "0") {
        return result;
      }
      const code = await send("ATL_GetErrorCode");
      throw failure(codes[code] || "servisign-" + code);
    };
    const echo = await send("Echo");
    if (echo !== "" && echo !== "0") {
      throw failure(codes[echo] || "servisign-" + echo);
    }
    return { send, must, inserted: () => insertion, end: () => (ending = true) };
  };

  // within runs calls with the card's module open, and closes what was opened however they end.
  const within = async (origin, signal, run) => {
    const card = await open(origin, signal);
    const ulModuleHandle = Number(await card.must("ATL_InitModule", { moduleName: module, initArgs: "" }));
    try {
      return await run(card, ulModuleHandle);
    } finally {
      card.end();
      await card.send("ATL_CloseModuleEx", { ulModuleHandle, iFlag: 0 }).catch(() => null);
      await card.send("ServiSignRelease").catch(() => null);
    }
  };

  const certificate = (card, ulModuleHandle, ulSessionHandle) =>
    card.must("ATL_GetCertificateFromGPKICard", { ulModuleHandle, ulSessionHandle, iCertId: 1, readerName: "" }).then((text) => text.replace(/\s/g, ""));

  kinds.servisign = (origin) => ({
    there: () => open(origin).then((card) => card.send("ServiSignRelease")).then(() => true, () => false),
    // presence is the number of the card in the reader, or nothing: how a page learns of a card from a component without events.
    presence: () =>
      within(origin, undefined, (card, ulModuleHandle) => card.must("ATL_GetHCACardSN", { ulModuleHandle })).catch((error) => {
        if (["76000006", "removed", "76100003"].includes(error.code)) {
          return "";
        }
        throw error;
      }),
    read: (_, signal) =>
      within(origin, signal, async (card, ulModuleHandle) => ({
        card: await card.must("ATL_GetHCACardSN", { ulModuleHandle }),
        certificate: await certificate(card, ulModuleHandle, 0),
        insertion: card.inserted(),
      })),
    sign: ({ text, pin }, signal) =>
      within(origin, signal, async (card, ulModuleHandle) => {
        const ulSessionHandle = Number(await card.must("ATL_InitSession", { ulModuleHandle, iFlags: 6, userPin: pin || "" }));
        try {
          const number = await card.must("ATL_GetHCACardSN", { ulModuleHandle });
          const own = await certificate(card, ulModuleHandle, ulSessionHandle);
          const ulPvKeyObject = Number(await card.must("ATL_GetKeyObjectHandle", { ulModuleHandle, ulSessionHandle, iKeyType: 0, key_id: "", param: "1" }));
          const b64Data = btoa(String.fromCharCode(...new TextEncoder().encode(text)));
          const signature = await card.must("ATL_MakeSignatureEx2", { ulModuleHandle, ulSessionHandle, ulAlgorithm: sha256, ulEndianness: bigEndian, b64Data, ulPvKeyObject });
          await card.send("ATL_DeleteKeyObject", { ulModuleHandle, ulSessionHandle, ulKeyObjectHandle: ulPvKeyObject });
          return { signature: signature.replace(/\s/g, ""), certificate: own, card: number, insertion: card.inserted() };
        } finally {
          card.end();
          await card.send("ATL_CloseSession", { ulModuleHandle, ulSessionHandle }).catch(() => null);
        }
      }),
  });
})();
