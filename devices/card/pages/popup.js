// The popup's whole life: say that it is there, take one request from the page that opened it, pass it on,
// hand back the answer as it came, close. The page's origin goes with the request, and the answer to that
// origin alone.
"use strict";
(() => {
  const endpoints = {
    CheckEnvir: "/pkcs11info",
    GetUserCert: "/pkcs11info?withcert=true",
    MakeSignature: "/sign",
    DecryptData: "/decrypt",
  };
  const opener = window.opener;
  const state = document.getElementById("state");
  let taken = false;

  const failure = (func) => JSON.stringify({ func, ret_code: 0x7600000d, last_error: 0 });

  const finish = (text, origin) => {
    opener.postMessage(text, origin);
    window.close();
  };

  const endpointOf = (text) => {
    try {
      const request = JSON.parse(text);
      return Object.hasOwn(endpoints, request.func) ? endpoints[request.func] : "/sign";
    } catch {
      return "/sign"; // which says what is wrong with the text
    }
  };

  const receive = (event) => {
    if (taken || event.source !== opener || typeof event.data !== "string") {
      return;
    }
    taken = true;
    const origin = event.origin;
    const endpoint = endpointOf(event.data);
    const request = new XMLHttpRequest();
    request.open("POST", endpoint);
    request.setRequestHeader("Content-Type", "application/x-www-form-urlencoded");
    request.setRequestHeader("X-Card-Opener", origin);
    request.onload = () => finish(request.responseText, origin);
    request.onerror = () => finish(failure(endpoint.startsWith("/pkcs11info") ? "pkcs11info" : endpoint.slice(1)), origin);
    request.send("tbsPackage=" + event.data);
  };

  if (!opener) {
    state.textContent = "這個視窗由網頁開啟。 / This window is opened by a web page.";
    return;
  }
  window.addEventListener("message", receive);
  opener.postMessage(JSON.stringify({ func: "getTbs" }), "*");
})();
