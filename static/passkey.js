// Passkeys: the forms with data-passkey ask the browser for one and send what it
// gives in the field "credential", or in the one that data-passkey-field names.
"use strict";
(() => {
  const words = {
    NotAllowedError: "The browser gave no passkey: it was cancelled, or took too long. Try again.",
    InvalidStateError: "This device has a passkey for you already.",
    SecurityError: "The browser has no passkeys at this address.",
  };

  async function options(form) {
    if (form.dataset.passkeyOptions) return JSON.parse(form.dataset.passkeyOptions);
    const body = new URLSearchParams({ csrf_token: form.elements.csrf_token.value, purpose: form.dataset.passkeyPurpose || "" });
    const answer = await fetch(form.dataset.passkeyFrom, { method: "POST", credentials: "same-origin", headers: { Accept: "application/json" }, body });
    const kind = answer.headers.get("Content-Type") || "";
    const sent = kind.startsWith("application/json") ? await answer.json() : {};
    if (!answer.ok || !sent.publicKey) throw new Error(sent.error || "The site gave no challenge. Reload the page and try again.");
    return sent;
  }

  async function passkey(form) {
    const known = window.PublicKeyCredential;
    if (!known || !known.parseRequestOptionsFromJSON) throw new Error("This browser has no passkeys, or an old form of them. Use another browser, or sign in in another way.");
    const { publicKey } = await options(form);
    const made = form.dataset.passkey === "create"
      ? await navigator.credentials.create({ publicKey: known.parseCreationOptionsFromJSON(publicKey) })
      : await navigator.credentials.get({ publicKey: known.parseRequestOptionsFromJSON(publicKey) });
    return JSON.stringify(made.toJSON());
  }

  for (const button of document.querySelectorAll("[data-passkey] button")) button.disabled = false;

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.passkey) return;
    event.preventDefault();
    event.stopPropagation();
    if (form.dataset.asking) return;
    form.dataset.asking = "1";
    const button = form.querySelector("button"), said = form.querySelector("[data-passkey-error]");
    said.hidden = true;
    button.setAttribute("aria-busy", "true");
    try {
      form.elements[form.dataset.passkeyField || "credential"].value = await passkey(form);
      form.submit();
    } catch (error) {
      said.querySelector("span").textContent = words[error.name] || error.message;
      said.hidden = false;
      button.removeAttribute("aria-busy");
    }
    delete form.dataset.asking;
  }, true);
})();
