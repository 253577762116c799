// Card pages. The server decides everything; this says sooner what it will say, in the same words. Nothing typed here leaves
// but by the form itself, except the first eight digits, which ask our own server for ways to pay.
"use strict";
(() => {
  const say = (words) => { const live = document.querySelector("[data-announce]"); if (live) live.textContent = words; };

  // In the bank's frame, when the bank has finished: lead the page around us on.
  const leads = document.querySelector("[data-leads]");
  if (leads) return parent.location.replace(leads.dataset.leads);
  const challenge = document.querySelector("[data-challenge]");
  if (challenge) challenge.addEventListener("load", () => challenge.focus());
  // A form that leads to the bank, in the frame or in this window.
  const opens = document.querySelector("[data-opens]");
  if (opens) {
    opens.submit();
    opens.classList.replace("opening", "instead");
    opens.querySelector("button").className = "quiet small";
  }
  // In a shop's frame, when the shop wants its buyer back at once: browsers allow it after a click, else the link is there.
  const up = document.querySelector("[data-top]");
  if (up) { try { top.location.href = up.dataset.top; } catch { /* the link */ } }

  // A hint for shops that embed the page, never a proof of payment.
  const told = document.querySelector("[data-invoice]");
  if (told && parent !== window) {
    parent.postMessage({ source: "doku-card", status: told.dataset.status, invoice_number: told.dataset.invoice }, "*");
  }

  const form = document.querySelector("[data-card]");
  if (!form) return;
  const facts = JSON.parse(form.dataset.card);
  const words = JSON.parse(form.dataset.words);
  const { number, expiry, cvv } = form.elements;
  const all = (selector) => document.querySelectorAll(selector);
  const digits = (text) => text.replace(/\D/g, "");
  const rupiah = (amount) => "Rp\u00a0" + String(amount).replace(/\B(?=(\d{3})+$)/g, ".");
  const choices = [...form.querySelectorAll("[type=radio][name=choice]")];
  const chosen = () => choices.find((choice) => choice.checked && choice.value !== "new");
  const names = {};
  for (const badge of form.querySelectorAll("[data-badges] [data-brand]")) names[badge.dataset.brand] = badge.lastElementChild.textContent;
  form.classList.add("led");

  // ---- what a number says about its card ----

  // JCB has several ranges; four digits tell them all (and 2221 to 2720 for Mastercard).
  const jcb = [[3528, 3589], [3337, 3349], [3088, 3094], [3096, 3102], [3112, 3120], [3158, 3159]];
  const brandOf = (typed) => {
    const four = Number(typed.slice(0, 4));
    if (typed[0] === "4") return "VISA";
    if (/^5[1-5]/.test(typed)) return "MASTER";
    if (/^3[47]/.test(typed)) return "AMEX";
    if (typed.length < 4) return "";
    if (four >= 2221 && four <= 2720) return "MASTER";
    return jcb.some(([from, to]) => four >= from && four <= to) ? "JCB" : "";
  };
  const luhn = (typed) => [...typed].reverse().reduce((sum, digit, at) => {
    const value = at % 2 ? digit * 2 : Number(digit);
    return sum + (value > 9 ? value - 9 : value);
  }, 0) % 10 === 0;
  const complete = (typed, brand) => (brand === "AMEX" ? [15] : [16, 19]).includes(typed.length);
  const grouped = (typed) => {
    const amex = brandOf(typed) === "AMEX" && typed.length <= 15;
    return (amex ? [typed.slice(0, 4), typed.slice(4, 10), typed.slice(10)] : typed.match(/.{1,4}/g) || []).filter(Boolean).join(" ");
  };
  const cvvLength = () => {
    const card = chosen();
    return card ? Number(card.dataset.cvv) : brandOf(digits(number.value)) === "AMEX" ? 4 : 3;
  };

  // ---- errors, at the field ----

  const show = (input, key) => {
    const field = input.closest(".field, .check, fieldset");
    const id = input.id + "-error";
    const old = document.getElementById(id);
    const others = (input.getAttribute("aria-describedby") || "").split(" ").filter((one) => one && one !== id);
    if (old) old.remove();
    field.classList.toggle("bad", Boolean(key));
    if (key) {
      const error = form.querySelector("[data-error]").content.firstElementChild.cloneNode(true);
      error.id = id;
      error.lastElementChild.textContent = words[key];
      const hint = field.querySelector(".hint");
      hint ? hint.before(error) : field.append(error);
      others.unshift(id);
      input.setAttribute("aria-invalid", "true");
    } else {
      input.removeAttribute("aria-invalid");
    }
    others.length ? input.setAttribute("aria-describedby", others.join(" ")) : input.removeAttribute("aria-describedby");
  };

  const early = (typed) => {
    const brand = brandOf(typed);
    if (typed.length >= 4 && (!brand || !facts.brands.includes(brand))) return "number_brand";
    const open = facts.allow.some((bin) => typed.startsWith(bin) || bin.startsWith(typed));
    return typed.length >= 6 && facts.allow.length && !open ? "number_refused" : "";
  };
  const wrong = {
    number() {
      const typed = digits(number.value);
      if (!typed) return "number_missing";
      const brand = brandOf(typed);
      if (early(typed)) return early(typed);
      if (complete(typed, brand)) return luhn(typed) ? "" : "number_wrong";
      return typed.length > (brand === "AMEX" ? 15 : 19) ? "number_wrong" : "number_incomplete";
    },
    expiry() {
      const typed = digits(expiry.value);
      if (!typed) return "expiry_missing";
      const month = Number(typed.slice(0, 2));
      if (![4, 6].includes(typed.length) || month < 1 || month > 12) return "expiry_format";
      const year = typed.length === 6 ? Number(typed.slice(2)) : 2000 + Number(typed.slice(2));
      // The page's own clock: the sandbox can be in another month, and the buyer's device in another year.
      const today = new Date(new Date(form.dataset.now).getTime() + 7 * 3600e3);
      const months = (year - today.getUTCFullYear()) * 12 + month - 1 - today.getUTCMonth();
      return months < 0 ? "expiry_over" : months > 240 ? "expiry_far" : "";
    },
    cvv() {
      const typed = digits(cvv.value);
      return !typed ? "cvv_missing" : typed.length < cvvLength() ? "cvv_incomplete" : "";
    },
  };

  // ---- typing ----

  // Keeps the caret behind the digit it was behind, so that Backspace works through the gaps.
  const rewrite = (input, text) => {
    if (text === input.value) return;
    const before = digits(input.value.slice(0, input.selectionStart)).length;
    const focused = document.activeElement === input;
    input.value = text;
    if (!focused) return;
    let at = 0;
    for (let seen = 0; seen < before && at < text.length; at++) if (/\d/.test(text[at])) seen++;
    input.setSelectionRange(at, at);
  };
  const typing = (event) => event.inputType && event.inputType.startsWith("insert");
  const atEnd = (input) => input.selectionStart === input.value.length;

  let told_brand = "";
  const read = () => {
    const typed = digits(number.value);
    const brand = brandOf(typed);
    for (const badge of form.querySelectorAll("[data-badges] [data-brand]")) badge.hidden = typed ? badge.dataset.brand !== brand : false;
    number.closest(".field").classList.toggle("known", Boolean(typed));
    if (brand && brand !== told_brand && !chosen()) say(names[brand] || "");
    told_brand = brand;
    if (cvv) {
      const length = cvvLength();
      cvv.maxLength = length;
      document.getElementById("cvv-hint").classList.toggle("amex", length === 4);
      form.querySelector("[data-cvv-words]").textContent = words["cvv_" + length];
    }
    promise();
    plans();
  };

  number.addEventListener("input", (event) => {
    const typed = digits(number.value).slice(0, 19);
    rewrite(number, grouped(typed));
    const key = early(typed);
    if (key || number.getAttribute("aria-invalid")) show(number, key);
    read();
    const brand = brandOf(typed);
    if (typing(event) && !key && complete(typed, brand) && luhn(typed) && atEnd(number)) expiry.focus();
  });

  expiry.addEventListener("input", (event) => {
    let typed = digits(expiry.value);
    if (/^[2-9]/.test(typed) || /^1\s*\/$/.test(expiry.value)) typed = "0" + typed;
    if (typed.length === 6 && typed.startsWith("20", 2)) typed = typed.slice(0, 2) + typed.slice(4);
    typed = typed.slice(0, 6);
    const slash = typed.length > 2 || (typed.length === 2 && typing(event));
    const grew = typed.length > digits(expiry.value).length;
    rewrite(expiry, slash ? typed.slice(0, 2) + "/" + typed.slice(2) : typed);
    if (grew || (slash && typed.length === 2)) expiry.setSelectionRange(9, 9);
    if (expiry.getAttribute("aria-invalid") && !wrong.expiry()) show(expiry, "");
    // "20" may become 2028: wait for more. A year 2020 is over anyway.
    if (typing(event) && typed.length === 4 && !typed.endsWith("20") && atEnd(expiry) && cvv && !wrong.expiry()) cvv.focus();
  });

  if (cvv) {
    cvv.addEventListener("input", () => {
      rewrite(cvv, digits(cvv.value));
      if (cvv.getAttribute("aria-invalid") && !wrong.cvv()) show(cvv, "");
    });
    const ask = form.querySelector("[data-hint]");
    const hint = document.getElementById("cvv-hint");
    const fold = (open) => { hint.hidden = !open; ask.setAttribute("aria-expanded", String(open)); };
    ask.hidden = false;
    fold(Boolean(chosen()));
    ask.addEventListener("click", () => fold(hint.hidden));
    for (const choice of choices) choice.addEventListener("change", () => { cvv.value = ""; show(cvv, ""); fold(Boolean(chosen())); read(); });
  }

  // An empty field gives Backspace back to the one before.
  for (const [input, previous] of [[expiry, number], [cvv, expiry]]) {
    if (input) input.addEventListener("keydown", (event) => {
      if (event.key !== "Backspace" || input.value || chosen()) return;
      event.preventDefault();
      previous.focus();
      previous.setSelectionRange(99, 99);
    });
  }
  for (const input of [number, expiry, cvv]) {
    if (input) input.addEventListener("change", () => { if (input.value) show(input, wrong[input.name]()); });
  }
  const consent = form.elements.consent;
  if (consent) consent.addEventListener("change", () => show(consent, ""));

  // ---- promo ----

  const discount = () => {
    const card = chosen();
    if (card) return Number(card.dataset.discount);
    const typed = digits(number.value);
    const best = typed.length < 6 ? undefined
      : facts.promos.filter(([bin]) => typed.startsWith(bin)).sort(([one], [two]) => two.length - one.length)[0];
    return best && best[1] < facts.full ? best[1] : 0;
  };
  let reduced = facts.off;
  const promise = () => {
    const off = discount();
    if (off === reduced) return;
    reduced = off;
    const total = rupiah(facts.full - off);
    for (const part of all("[data-promo]")) part.hidden = !off;
    for (const part of all("[data-discount]:not(input)")) part.textContent = "\u2212" + rupiah(off);
    for (const part of all("[data-total]")) part.textContent = total;
    for (const part of all("[data-amount]")) part.textContent = total.slice(3);
    for (const part of all("[data-promo-words]")) part.textContent = words.promo.replace("{}", rupiah(off));
    form.querySelector(".go > span").textContent = words.pay.replace("{}", total);
    if (off) say(words.promo.replace("{}", rupiah(off)));
  };

  // ---- ways to pay ----

  const box = form.querySelector("[data-plans]");
  const list = form.querySelector("[data-plan-list]");
  let asked = facts.asked;
  const draw = (offered) => {
    const kept = form.querySelector("[name=plan]:checked");
    const tenor = kept ? kept.dataset.tenor : "0";
    list.replaceChildren(...offered.map((plan, at) => {
      const card = form.querySelector("[data-plan-card]").content.firstElementChild.cloneNode(true);
      const input = card.querySelector("input");
      const rate = String(plan.interest_bp / 100).replace(".", ",");
      input.value = plan.id;
      input.dataset.tenor = plan.tenor;
      input.checked = String(plan.tenor) === tenor;
      if (!at) input.id = "plan";
      card.querySelector("b").textContent = plan.tenor ? plan.tenor + " \u00d7 " + rupiah(plan.monthly) : words.full;
      card.querySelector("small").textContent = !plan.tenor ? rupiah(plan.total) : plan.interest_bp
        ? words.interest.replace("{}", rate).replace("{total}", rupiah(plan.total)) : words.free.replace("{}", plan.tenor);
      return card;
    }));
    box.hidden = offered.length < 1;
    if (offered.length > 1) say(words.plans.replace("{}", offered.length));
  };
  const plans = async () => {
    if (!box || !facts.plans) return;
    const card = chosen();
    const typed = digits(number.value);
    const query = card ? "choice=" + encodeURIComponent(card.value) : typed.length < 8 ? "" : "bin=" + typed.slice(0, 8);
    if (query === asked) return;
    asked = query;
    if (!query) return draw([]);
    let answer;
    try {
      const response = await fetch(facts.plans + "?" + query, { cache: "no-store" });
      answer = response.ok ? await response.json() : { plans: [], allow_full: true };
    } catch { answer = { plans: [], allow_full: true }; }
    if (asked !== query) return;
    const offered = answer.plans.filter((plan) => plan.tenor || answer.allow_full);
    // Full payment alone is no choice. A single plan is one when nothing else is allowed: the buyer has to see it.
    draw(offered.some((plan) => plan.tenor) ? offered : []);
  };

  // ---- sending ----

  const check = () => {
    const card = chosen();
    const found = [];
    const look = (input, key) => { show(input, key); if (key) found.push([input, key]); };
    if (choices.length && !choices.some((choice) => choice.checked)) look(choices[0], "choice_missing");
    if (!card) { look(number, wrong.number()); look(expiry, wrong.expiry()); }
    if (cvv) look(cvv, wrong.cvv());
    const plan = box && !box.hidden && box.querySelector("input");
    if (plan) look(plan, box.querySelector(":checked") ? "" : "plan_missing");
    if (consent) look(consent, consent.checked ? "" : "consent_missing");
    return found;
  };
  const title = document.title;
  // Before pay.js hears of it: a form that is not sent is not busy.
  document.addEventListener("submit", (event) => {
    if (event.target !== form) return;
    for (const old of form.parentElement.querySelectorAll(".alert")) old.remove();
    const found = check();
    if (!found.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const alert = form.querySelector("[data-summary]").content.firstElementChild.cloneNode(true);
    alert.querySelector("h2").textContent = found.length === 1 ? words.one : words.many.replace("{}", found.length);
    alert.querySelector("ul").append(...found.map(([input, key]) => {
      const line = document.createElement("li");
      const link = document.createElement("a");
      link.href = "#" + input.id;
      link.textContent = words[key];
      link.addEventListener("click", (press) => { press.preventDefault(); input.focus(); });
      line.append(link);
      return line;
    }));
    form.before(alert);
    document.getElementById("task").classList.add("vh");
    document.title = title.startsWith(words.title.replace("{}", "")) ? title : words.title.replace("{}", title);
    alert.focus();
  }, true);

  // ---- test cards ----

  for (const link of all("[data-fill]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const card = JSON.parse(link.dataset.fill);
      const fresh = choices.find((choice) => choice.value === "new");
      if (fresh) { fresh.checked = true; fresh.dispatchEvent(new Event("change")); }
      for (const [name, value] of Object.entries(card)) {
        const input = form.elements[name];
        if (!input) continue;
        input.value = value;
        input.dispatchEvent(new Event("input"));
        show(input, "");
      }
      link.closest("details").open = false;
      number.focus();
      say(words.filled);
    });
  }
  for (const button of all("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      say(words.copied);
    });
  }

  rewrite(number, grouped(digits(number.value)));
  // Also when the browser puts back what was typed before a reload, or fills in a saved card.
  addEventListener("pageshow", read);
  read();
})();
