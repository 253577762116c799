// Pretend counterparties, on top of pay.js: the button names the plan that is chosen, a waiting page asks by itself, the desk stays fresh.
"use strict";
(() => {
  const say = (words) => { document.querySelector("[data-announce]").textContent = words; };

  // The button says what it takes. Also after the browser brought an old choice back.
  const plans = document.querySelectorAll("[data-takes]");
  if (plans.length) {
    const label = plans[0].form.querySelector(".go > span");
    const name = () => {
      const chosen = [...plans].find((plan) => plan.checked);
      if (chosen) label.textContent = chosen.dataset.takes;
    };
    for (const plan of plans) plan.addEventListener("change", name);
    addEventListener("pageshow", () => setTimeout(name));
    name();
  }

  // Waiting. An answer that leads to the shop is another origin's and may not be fetched: then the whole page follows it.
  const waiting = document.querySelector("[data-poll]");
  if (waiting) {
    const url = waiting.dataset.poll;
    const ask = async () => {
      try {
        const answer = await fetch(url, { cache: "no-store", redirect: "manual" });
        if (answer.type === "opaqueredirect" || (answer.ok && !(await answer.text()).includes("data-poll="))) return location.replace(url);
      } catch { /* offline: ask again */ }
      setTimeout(ask, 3000);
    };
    setTimeout(ask, 3000);
  }

  // The desk: quietly, not while somebody's keyboard is in it, and only when something changed.
  const desk = document.querySelector("[data-desk]");
  if (desk) {
    const orders = (root) => new Set([...root.querySelectorAll("[data-order]")].map((one) => one.dataset.order));
    let shown = desk.innerHTML;
    const look = async () => {
      if (document.visibilityState !== "visible" || desk.contains(document.activeElement)) return;
      try {
        const answer = await fetch(location.href, { cache: "no-store" });
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-desk]");
        if (!answer.ok || !fresh || fresh.innerHTML === shown || desk.contains(document.activeElement)) return;
        const before = orders(desk);
        const news = [...orders(fresh)].some((order) => !before.has(order));
        shown = fresh.innerHTML;
        desk.replaceChildren(...fresh.childNodes);
        if (news) say(desk.dataset.new);
      } catch { /* offline: look again */ }
    };
    setInterval(look, 4000);
    document.addEventListener("visibilitychange", look);
  }

  for (const button of navigator.clipboard ? document.querySelectorAll("[data-copies]") : []) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(button.dataset.copies);
        const label = button.querySelector("span");
        const words = label.textContent;
        label.textContent = button.dataset.done;
        say(button.dataset.done);
        setTimeout(() => { label.textContent = words; }, 2000);
      } catch { /* not allowed here: the command can be selected */ }
    });
  }
})();
