// The shop works without this file. With it the cart changes in place, a pay button says that it is busy, and an
// order page shows news as it comes.
"use strict";

const live = (root) => new Map([...root.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part]));

// Replace the parts that differ, and give the focus back to where it was.
function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const focused = document.activeElement?.closest("[data-focus]")?.dataset.focus;
  const now = live(document);
  for (const [name, part] of live(fresh)) {
    const old = now.get(name);
    if (!old || old.outerHTML === part.outerHTML) continue;
    // A live region must stay the same element, or its news is not read out.
    if (old.getAttribute("role") === "status") old.textContent = part.textContent;
    else old.replaceWith(part);
  }
  document.title = fresh.title;
  if (focused && document.activeElement === document.body) {
    const product = focused.split("-")[0];
    const again = document.querySelector(`[data-focus="${focused}"]`) ?? document.querySelector(`[data-focus="${product}-more"]`);
    (again ?? document.querySelector("#keranjang"))?.focus();
  }
  return fresh;
}

async function changeCart(form, button) {
  const body = new URLSearchParams(new FormData(form));
  if (button?.name) body.set(button.name, button.value);
  const answer = await fetch(form.action, { method: "POST", body });
  if (!answer.ok) throw new Error(answer.status);
  show(await answer.text());
  const said = document.querySelector("[data-said]");
  said.textContent = document.querySelector('[data-live="count"]').getAttribute("aria-label");
}

let changes = Promise.resolve();

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-cart]")) {
    event.preventDefault();
    // One after the other: two quick presses are two changes of the same cookie.
    changes = changes.then(() => changeCart(form, event.submitter)).catch(() => location.reload());
  } else if (form.matches("[data-pay]")) {
    const button = form.querySelector(".go");
    if (button.getAttribute("aria-disabled")) return event.preventDefault();
    button.dataset.label = button.textContent;
    button.setAttribute("aria-disabled", "true");
    button.textContent = form.dataset.busy;
    const squares = document.createElement("span");
    squares.className = "waiting";
    squares.setAttribute("aria-hidden", "true");
    squares.append(...[1, 2, 3].map(() => document.createElement("i")));
    button.append(squares);
  }
});

// Back from the payment page with the browser's own button: the page is as it was left, busy button included.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const button of document.querySelectorAll("[data-pay] .go[aria-disabled]")) {
    button.removeAttribute("aria-disabled");
    button.textContent = button.dataset.label;
  }
});

async function watch(order) {
  while (order.hasAttribute("data-watch")) {
    await new Promise((wake) => setTimeout(wake, document.hidden ? 5000 : 1000));
    try {
      const state = await (await fetch(`${order.dataset.order}/state`)).json();
      if (state.version !== order.dataset.version) {
        const fresh = show(await (await fetch(order.dataset.order)).text());
        order.dataset.version = fresh.querySelector("[data-order]").dataset.version;
      }
      if (!state.watch) order.removeAttribute("data-watch");
    } catch {
      // The server is away for a moment; the next look may find it.
    }
  }
}

const order = document.querySelector("[data-order][data-watch]");
if (order) watch(order);
