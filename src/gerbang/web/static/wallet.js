// The sandbox's inbox of text messages: a press copies a code, and new messages appear by themselves while somebody looks.
"use strict";
(() => {
  const inbox = document.querySelector("[data-inbox]");
  if (!inbox) return;
  const say = (words) => { document.querySelector("[data-announce]").textContent = words; };

  const ready = () => {
    if (!navigator.clipboard) return;
    for (const button of inbox.querySelectorAll("[data-copies]")) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(button.dataset.copies);
          const label = button.querySelector("span");
          const words = label.textContent;
          label.textContent = button.dataset.done;
          say(button.dataset.done);
          setTimeout(() => { label.textContent = words; }, 2000);
        } catch { /* not allowed here: the code can be selected */ }
      });
    }
  };
  const newest = (root) => root.querySelector("[data-message]")?.dataset.message;

  // Quietly: not while the page is hidden, not while a copy button has the keyboard, and only when something changed.
  let shown = inbox.innerHTML;
  const look = async () => {
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-inbox]");
      if (answer.ok && fresh && fresh.innerHTML !== shown && !inbox.contains(document.activeElement)) {
        const news = newest(fresh) !== newest(inbox);
        shown = fresh.innerHTML;
        inbox.replaceChildren(...fresh.childNodes);
        ready();
        if (news) say(inbox.dataset.new);
      }
    } catch { /* offline: look again */ }
  };
  setInterval(() => { if (document.visibilityState === "visible") look(); }, 3000);
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") look(); });
  ready();
})();
