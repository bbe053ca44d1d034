"use strict";
// Passkeys and live updates. Everything else on these pages works without this file.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const csrf = document.querySelector("meta[name=csrf]")?.content;

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  if (csrf) headers["X-CSRF-Token"] = csrf;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "same-origin" });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.problem || "It did not work. Reload the page and try again.");
  return found;
}

async function ceremony(kind, options) {
  options.challenge = bytes(options.challenge);
  for (const list of ["allowCredentials", "excludeCredentials"])
    for (const each of options[list] || []) each.id = bytes(each.id);
  if (options.user) options.user.id = bytes(options.user.id);
  const made = await navigator.credentials[kind]({ publicKey: options });
  const response = { clientDataJSON: text(made.response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"])
    if (made.response[name]) response[name] = text(made.response[name]);
  return { id: made.id, rawId: text(made.rawId), type: made.type, clientExtensionResults: {}, response };
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.ceremony) return;
  event.preventDefault();
  const members = Object.fromEntries(new FormData(form, event.submitter));
  const path = new URL(form.action).pathname;
  const problem = form.querySelector(".problem");
  const buttons = form.querySelectorAll("button");
  problem.hidden = true;
  for (const button of buttons) button.disabled = true;
  try {
    const { publicKey, echo } = await post(path + "/options", members);
    const credential = await ceremony(form.dataset.ceremony, publicKey);
    const { go } = await post(path, { ...members, ...echo, credential });
    location.assign(go);
  } catch (error) {
    problem.textContent =
      {
        NotAllowedError: "The passkey was not used: nothing was decided. Try again.",
        InvalidStateError: "This device holds a reviewer's passkey already. Nobody can be two reviewers.",
      }[error.name] || error.message;
    problem.hidden = false;
    for (const button of buttons) button.disabled = false;
  }
});

function countdown() {
  for (const time of document.querySelectorAll("time[data-until]")) {
    const left = Math.floor((new Date(time.dateTime) - Date.now()) / 1000);
    const [size, unit] = left >= 3600 ? [3600, "h"] : left >= 60 ? [60, "min"] : [1, "s"];
    time.textContent = left > 0 ? `${Math.floor(left / size)} ${unit} left` : "expired";
  }
}
if (document.querySelector("time[data-until]")) setInterval(countdown, 5000);

async function refresh() {
  const answer = await fetch(location.href, { credentials: "same-origin" });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const note = document.querySelector("textarea[name=note]");
  const main = document.querySelector("main");
  const focus = document.activeElement;
  const busy = (note && note.value) || document.querySelector("button[disabled]") || (main.contains(focus) && main !== focus);
  if (note && !busy) {
    main.replaceChildren(...page.querySelector("main").childNodes);
    return;
  }
  const kept = focus?.getAttribute("href");
  document.querySelector("[data-live]").replaceChildren(...page.querySelector("[data-live]").childNodes);
  if (kept) document.querySelector(`main a[href="${kept}"]`)?.focus();
}
if (csrf && document.querySelector("[data-live]")) {
  const events = new EventSource("/events");
  events.addEventListener("change", refresh);
  addEventListener("pagehide", () => events.close());
}
