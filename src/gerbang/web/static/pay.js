// The pages work without this file. It keeps people from paying twice by impatience, ticks, and moves the keyboard
// to what went wrong. No inline handlers: the Content-Security-Policy allows this file alone.
"use strict";
(() => {
  const all = (selector) => document.querySelectorAll(selector);
  const say = (words) => { document.querySelector("[data-announce]").textContent = words; };
  let leaving = false;

  // Busy: the pressed button keeps its value in the request (a disabled one would lose it) but cannot be sent again.
  for (const form of all("form")) {
    form.addEventListener("submit", (event) => {
      if (leaving) return event.preventDefault();
      leaving = true;
      for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
      const button = event.submitter;
      if (!button || !button.dataset.busy) return;
      const dots = document.createElement("span");
      dots.className = "dots";
      dots.append(...[0, 1, 2].map(() => document.createElement("i")));
      const label = document.createElement("span");
      label.textContent = button.dataset.busy;
      button.kept = [...button.childNodes];
      button.replaceChildren(label, dots);
      say(button.dataset.busy);
    });
  }
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    leaving = false;
    for (const button of all("[aria-disabled]")) {
      button.removeAttribute("aria-disabled");
      if (button.kept) button.replaceChildren(...button.kept);
    }
    say("");
  });

  for (const toggle of all("[data-shows]")) {
    const input = document.getElementById(toggle.dataset.shows);
    const word = toggle.firstElementChild;
    const words = { password: word.textContent, text: toggle.dataset.hide };
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
      input.type = input.type === "password" ? "text" : "password";
      word.textContent = words[input.type];
    });
  }

  // Mark the cell that the next digit fills.
  for (const code of all(".code")) {
    const input = code.querySelector("input");
    const cells = code.querySelectorAll("i");
    const mark = () => {
      const at = Math.min(input.selectionStart ?? input.value.length, cells.length - 1);
      cells.forEach((cell, index) => cell.classList.toggle("at", index === at));
    };
    code.classList.add("led");
    for (const name of ["input", "focus", "keyup", "click", "select"]) input.addEventListener(name, mark);
    mark();
  }

  // Measured from the moment the page arrived, so that neither a wrong clock here nor a moved one there matters.
  const left = document.querySelector("[data-left]");
  if (left) {
    const start = Date.now();
    const total = Number(left.dataset.left);
    const fresh = location.pathname + "?lang=" + document.documentElement.lang;
    let before = total;
    const tick = () => {
      const rest = total - Math.floor((Date.now() - start) / 1000);
      if (rest < -1) {
        // An address, not reload(): the page may be the answer to a POST. Never take away a payment just sent.
        if (!leaving) { clearInterval(timer); location.replace(fresh); }
        return;
      }
      const shown = Math.max(0, rest);
      const parts = [Math.floor(shown / 60) % 60, shown % 60].map((part) => String(part).padStart(2, "0"));
      if (shown >= 3600) parts.unshift(Math.floor(shown / 3600));
      left.textContent = left.dataset.ticking.replace("{}", parts.join(left.dataset.colon));
      if (before > 300 && rest <= 300) say(left.dataset.five);
      if (before > 60 && rest <= 60) say(left.dataset.one);
      before = rest;
    };
    const timer = setInterval(tick, 1000);
    tick();
  }

  // Waiting: ask quietly, change the page once.
  const waiting = document.querySelector("[data-check]");
  if (waiting) {
    let pause = 2000;
    const ask = async () => {
      try {
        const answer = await fetch(waiting.dataset.check, { cache: "no-store" });
        if (answer.ok && !(await answer.text()).includes("data-check=")) return location.replace(waiting.dataset.check);
      } catch { /* offline: ask again */ }
      pause = Math.min(pause + 500, 6000);
      setTimeout(ask, pause);
    };
    setTimeout(ask, pause);
  }

  for (const button of all("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
  const wrong = document.querySelector("[data-focus]");
  if (wrong) wrong.focus();
  addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && document.activeElement.closest("details[open]");
    if (open) { open.open = false; open.firstElementChild.focus(); }
  });
})();
