// The pretend bank's page works without this file. It hands the result over at once, marks the cell that comes next, and counts.
"use strict";
(() => {
  const say = (words) => { document.querySelector("[data-announce]").textContent = words; };
  const buttons = () => document.querySelectorAll("button");
  let leaving = false;

  // A pressed button keeps its value in the request (a disabled one would lose it) but cannot be sent again.
  for (const form of document.forms) {
    form.addEventListener("submit", (event) => {
      if (leaving) return event.preventDefault();
      leaving = true;
      for (const button of buttons()) button.setAttribute("aria-disabled", "true");
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
    for (const button of buttons()) {
      button.removeAttribute("aria-disabled");
      if (button.kept) button.replaceChildren(...button.kept);
    }
    say("");
  });

  const code = document.querySelector(".code");
  if (code) {
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

  // Measured from the moment the page arrived: neither a wrong clock here nor a moved one there matters.
  const start = Date.now();
  const passed = () => Math.floor((Date.now() - start) / 1000);
  const left = document.querySelector("[data-left]");
  if (left) {
    const total = Number(left.dataset.left);
    let before = total;
    const tick = () => {
      const rest = total - passed();
      if (rest < -1) {
        // The bank says how it ended; a form just sent is not taken back.
        clearInterval(timer);
        if (!leaving) document.getElementById("again").requestSubmit();
        return;
      }
      const shown = Math.max(0, rest);
      const parts = [Math.floor(shown / 60), shown % 60].map((part) => String(part).padStart(2, "0"));
      left.textContent = left.dataset.words.replace("{}", parts.join(left.dataset.colon));
      left.hidden = false;
      if (before > 60 && rest <= 60) say(left.dataset.one);
      before = rest;
    };
    const timer = setInterval(tick, 1000);
    tick();
  }

  const resend = document.querySelector("[data-wait]");
  if (resend) {
    const label = resend.firstElementChild;
    const words = label.textContent;
    const tick = () => {
      const rest = Number(resend.dataset.wait) - passed();
      label.textContent = rest > 0 ? resend.dataset.waiting.replace("{}", rest) : words;
      resend.classList.toggle("waits", rest > 0);
      if (rest <= 0) clearInterval(timer);
    };
    const timer = setInterval(tick, 1000);
    tick();
  }

  addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && document.activeElement.closest("details[open]");
    if (open) { open.open = false; open.firstElementChild.focus(); }
  });
  const end = document.querySelector("form[data-auto]");
  if (end) end.requestSubmit(end.querySelector("button"));
})();
