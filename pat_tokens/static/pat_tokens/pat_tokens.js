// Makes the pages faster to use; everything works without it. Strings come from the page, where they are translated, and
// elements come from its <template>s, which a site can restyle.

const root = document.querySelector("[data-pat-root]");
const NOTICE = "pat-tokens-notice";

function start() {
  root.setAttribute("data-pat-ready", "");
  root.addEventListener("click", onClick);
  root.addEventListener("submit", onSubmit);
  root.addEventListener("change", onChange);
  root.addEventListener("input", onInput);
  for (const name of ["change", "input", "focusin", "click"]) root.addEventListener(name, checkSelects);
  root.addEventListener("focusin", uncover);
  root.addEventListener("keydown", onKeydown);
  root.addEventListener("toggle", onToggle, true);
  document.addEventListener("click", closeMenus);
  window.addEventListener("popstate", onPopstate);
  window.addEventListener("pageshow", onPageshow);
  setInterval(() => document.hidden || tick(root), 1000);
  enhance(root);
  if (!root.querySelector("[autofocus]")) focusWrong(root);
  const notice = stored(NOTICE);
  if (notice) toast(notice);
}

// Initializes new elements, including those of the first page.
function enhance(part) {
  tick(part);
  part.querySelectorAll("[data-pat-duration-fields]").forEach(startDuration);
  part.querySelectorAll("[data-pat-scopes]").forEach(startScopes);
  part.querySelectorAll("[data-pat-selection]").forEach((form) => countSelected(form));
  part.querySelectorAll("select").forEach((select) => selected.set(select, select.value));
  part.querySelectorAll("[data-pat-errors]").forEach((errors) => (errors.tabIndex = -1));
  part.querySelectorAll("a[data-pat-back]").forEach(leadBack);
}

// Returns to the list with its search, sort order and page.
function leadBack(link) {
  const from = document.referrer && new URL(document.referrer);
  if (from && from.origin === location.origin && from.pathname === link.pathname) link.search = from.search;
}

function say(key, value) {
  const text = root.dataset["patText" + key[0].toUpperCase() + key.slice(1)] ?? "";
  return value === undefined ? text : text.replace("{}", value);
}

function copyOf(name, parent = root) {
  return parent.querySelector(`template[data-pat-${name}]`).content.firstElementChild.cloneNode(true);
}

// --- Requests ------------------------------------------------------------

class LoggedOut extends Error {}

// `keeps`: if the user was logged out, throws an error instead of reloading, which would lose what they entered.
async function ask(url, { keeps = false, ...options } = {}) {
  const response = await fetch(url, { ...options, headers: { Accept: "application/json, text/html" } });
  const isJson = (response.headers.get("Content-Type") ?? "").includes("json");
  const body = isJson ? await response.json() : new DOMParser().parseFromString(await response.text(), "text/html");
  const isElsewhere = response.redirected && !isJson && !body.querySelector("[data-pat-root]"); // the site's login page
  if (response.status === 401 || isElsewhere) {
    if (keeps) throw new LoggedOut(say("out"));
    location.reload(); // redirects to the login page
    return new Promise(() => {});
  }
  return { ok: response.ok, isGone: response.status === 404, url: response.url, json: isJson ? body : null, page: isJson ? null : body };
}

function urlOf(form) {
  return form.getAttribute("action") || form.closest("[data-pat-url]")?.dataset.patUrl || location.href;
}

function send(form, submitter) {
  return ask(urlOf(form), { method: "POST", keeps: true, body: new URLSearchParams(new FormData(form, submitter)) });
}

// Runs a function that makes requests. If that fails, falls back to the browser's behavior without a script.
async function attempt(step, fallback) {
  try {
    await step();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (fallback && !(error instanceof LoggedOut)) fallback();
    else toast(problem(error));
  }
}

function problem(error) {
  return error instanceof LoggedOut ? error.message : say("error");
}

// --- Regions: parts of a page that are replaced with newer ones ------------

function swap(names, page) {
  const focus = keyOfFocus();
  const open = [...root.querySelectorAll("details[open][data-pat-key]")].map((details) => details.dataset.patKey);
  for (const name of names) {
    const old = root.querySelector(`[data-pat-region="${name}"]`);
    const fresh = page.querySelector(`[data-pat-region="${name}"]`);
    if (!old || !fresh) continue;
    old.replaceWith(document.adoptNode(fresh));
    enhance(fresh);
  }
  document.title = page.title;
  open.forEach((key) => byKey(key)?.setAttribute("open", ""));
  if (focus && !root.contains(document.activeElement)) focusKey(focus);
}

async function visit(url, names, { push = false, replace = false, signal } = {}) {
  forgetNotices();
  const answer = await ask(url, { signal });
  if (!answer.ok || !answer.page.querySelector("[data-pat-root]")) return location.assign(url);
  swap(names, answer.page);
  if (push) history.pushState(null, "", url);
  if (replace) history.replaceState(null, "", url);
  shown = here();
}

let shown = here();

function here() {
  return location.pathname + location.search;
}

// A link within the page changes only the fragment.
function onPopstate() {
  if (here() === shown) return;
  shown = here();
  root.querySelector("dialog[open]")?.close();
  forgetNotices();
  attempt(() => refresh(location.href), () => location.reload());
}

// Reloads the regions of the page; a secret that is being shown stays while it works.
async function refresh(url, notice = "") {
  const answer = await ask(url);
  if (!answer.ok || !answer.page.querySelector("[data-pat-root]")) {
    if (notice) store(NOTICE, notice);
    return location.assign(url);
  }
  const outer = [...root.querySelectorAll("[data-pat-region]")].filter((e) => !e.parentElement.closest("[data-pat-region]"));
  const hints = answer.page.querySelector('[data-pat-region="token"]')?.dataset.patHints ?? "";
  const isAlive = hints.split(" ").includes(root.querySelector("[data-pat-secret]")?.dataset.patSecret);
  swap(outer.map((region) => region.dataset.patRegion).filter((name) => name !== "secret" || !isAlive), answer.page);
  if (notice) toast(notice);
}

function keyOfFocus() {
  const focused = document.activeElement;
  return root.contains(focused) ? focused.closest("[data-pat-key]")?.dataset.patKey ?? "none" : "";
}

function byKey(key) {
  return root.querySelector(`[data-pat-key="${CSS.escape(key)}"]`);
}

function focusKey(key) {
  const found = byKey(key);
  (found?.querySelector(":scope > summary") ?? found ?? root.querySelector("[data-pat-heading]"))?.focus();
}

function withQuery(changes) {
  const query = new URLSearchParams(location.search);
  query.delete("page");
  Object.entries(changes).forEach(([key, value]) => (value ? query.set(key, value) : query.delete(key)));
  const text = query.toString();
  return location.pathname + (text ? "?" + text : "");
}

// --- Events --------------------------------------------------------------

function onClick(event) {
  const isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  const copy = event.target.closest("[data-pat-copy]");
  if (copy) {
    event.preventDefault();
    closeMenu(copy);
    return copyText(copy);
  }
  const note = event.target.closest("[data-pat-dismiss]") && event.target.closest("[data-pat-toasts] > *");
  if (note) return dismiss(note);
  const link = event.target.closest("a[data-pat-swap][href]");
  if (link && isPlain) {
    event.preventDefault();
    const options = { push: link.hasAttribute("data-pat-push") };
    return attempt(() => visit(link.href, link.dataset.patSwap.split(" "), options), () => location.assign(link.href));
  }
  const row = event.target.closest("tr[data-pat-href]");
  if (row && !event.target.closest("a, button, summary, details, input, select, label") && !String(getSelection())) {
    if (isPlain) location.assign(row.dataset.patHref);
    else window.open(row.dataset.patHref, "_blank", "noopener");
  }
}

function onSubmit(event) {
  const { target: form, submitter } = event;
  const step = submitter?.name === "step" ? submitter.value : "";
  if (step && step !== "preset" && form.hasAttribute("data-pat-scopes")) {
    event.preventDefault();
    takeStep(form, step, submitter);
  } else if (submitter?.hasAttribute("data-pat-dialog")) {
    event.preventDefault();
    const url = getUrl(form, submitter);
    attempt(() => openDialog(url, submitter), () => location.assign(url));
  } else if (form.hasAttribute("data-pat-live")) {
    event.preventDefault();
    search(form, 0);
  } else if (form.hasAttribute("data-pat-columns")) {
    event.preventDefault();
  } else if (form.dataset.patSwap ?? submitter?.dataset.patSwap) {
    event.preventDefault();
    submitInPlace(form, submitter);
  } else if (form.method === "post") {
    if (form.hasAttribute("data-pat-sent")) event.preventDefault();
    else disableOnceSent(form, event);
  }
}

// The URL of this form when it is submitted with GET.
function getUrl(form, submitter) {
  const url = new URL(submitter.getAttribute("formaction") ?? form.action, location.href);
  url.search = new URLSearchParams(new FormData(form, submitter));
  return url.href;
}

const PATIENCE = 15_000; // milliseconds until a form can be submitted again

// Disables the button after the browser has read the form, because disabled buttons aren't submitted.
function disableOnceSent(form, event) {
  form.setAttribute("data-pat-sent", "");
  setTimeout(() => {
    if (event.defaultPrevented) return form.removeAttribute("data-pat-sent"); // by a script of the site
    submitButtons(form).forEach((button) => (button.disabled = true));
    setBusy(event.submitter, true);
    setTimeout(() => enableAgain(form), PATIENCE); // the user could have stopped loading
  });
}

function enableAgain(form) {
  form.removeAttribute("data-pat-sent");
  submitButtons(form).forEach((button) => (button.disabled = false));
  form.querySelectorAll("[aria-busy]").forEach((button) => setBusy(button, false));
}

// Pages from the back/forward cache keep their state, and Firefox restores disabled buttons even after a reload.
function onPageshow(event) {
  if (event.persisted) forgetNotices();
  root.querySelectorAll("form").forEach(enableAgain);
  root.querySelectorAll("[data-pat-selection]").forEach((form) => countSelected(form));
  checkSelects();
}

function submitButtons(form) {
  return [...form.elements].filter((element) => element.type === "submit");
}

// --- Selects --------------------------------------------------------------

// A script of the site can replace every <select> on a page. Some of these scripts set its value without an event, so
// values are compared after every event.
const selected = new WeakMap();

function checkSelects() {
  root.querySelectorAll("select").forEach((select) => {
    const before = selected.get(select);
    selected.set(select, select.value);
    if (before !== undefined && before !== select.value) onSelect(select);
  });
}

function onSelect(select) {
  const rows = select.closest("[data-pat-rows]");
  const live = select.closest("[data-pat-live]");
  if (rows) {
    const names = [rows.dataset.patRows];
    attempt(() => visit(withQuery({ rows: select.value }), names, { push: true }), () => rows.submit());
  } else if (live) {
    search(live, 0);
  } else if (select.matches("[data-pat-entity-type]")) {
    changeType(select.closest("[data-pat-scopes]"), select.closest("[data-pat-row]"));
  } else if (select.matches("[data-pat-duration]")) {
    showExpiration(select.closest("[data-pat-duration-fields]"));
  }
}

// The selected rows of a table, and the buttons that act on them.
function countSelected(form, changed) {
  const boxes = [...form.elements].filter((element) => element.name === "id");
  const all = form.querySelector("[data-pat-select-all]");
  if (changed === all) boxes.forEach((box) => (box.checked = all.checked));
  const count = boxes.filter((box) => box.checked).length;
  form.querySelector("[data-pat-script]").hidden = false;
  all.checked = count === boxes.length;
  all.indeterminate = count > 0 && count < boxes.length;
  form.querySelector("[data-pat-selected]").textContent = count ? say("selected", count) : "";
  submitButtons(form).forEach((button) => (button.disabled = !count));
}

// Removes the error of a field that is edited, because only the server knows whether the new value is valid.
function mend(field) {
  const described = field.closest("[aria-describedby]");
  const ids = described?.getAttribute("aria-describedby").split(" ") ?? [];
  const wrong = ids.filter((id) => id.endsWith("_error"));
  if (!wrong.length || (field.required && !field.value.trim())) return;
  wrong.forEach((id) => document.getElementById(id)?.remove());
  described.removeAttribute("aria-invalid");
  described.setAttribute("aria-describedby", ids.filter((id) => !wrong.includes(id)).join(" "));
  const form = described.closest("form");
  if (form.querySelector('[id$="_error"]')) return;
  const note = form.querySelector("[data-pat-mended]");
  const alert = note?.closest("[data-pat-errors]");
  note?.remove();
  if (alert && !alert.textContent.trim()) alert.remove();
}

function onChange(event) {
  const picker = event.target.matches("[data-pat-picker-place]") && event.target.querySelector("[role=combobox]");
  mend(picker || event.target);
  if (event.target.matches("[name=id], [data-pat-select-all]")) countSelected(event.target.form, event.target);
  const columns = event.target.closest("[data-pat-columns]");
  if (columns) attempt(async () => (await send(columns), visit(location.href, [columns.dataset.patColumns])));
}

function onInput(event) {
  const form = event.target.closest("[data-pat-live]");
  if (form && !event.target.matches("select")) search(form, 200);
  if (!event.target.matches("[role=combobox]")) mend(event.target);
}

function onKeydown(event) {
  if (event.key === "Escape") {
    const menu = event.target.closest("details[data-pat-menu][open]");
    const cancel = event.target.closest("[data-pat-edit]")?.querySelector("a[data-pat-swap]");
    if (menu) closeMenu(event.target, true);
    else if (cancel && !event.target.closest("dialog")) cancel.click();
  }
  const items = event.target.closest("details[data-pat-menu][open]")?.querySelectorAll("summary, a, button, input:not([type=hidden])");
  if (items && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    const visible = [...items].filter((item) => item.offsetParent);
    const next = visible.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1);
    visible[(next + visible.length) % visible.length].focus();
  }
}

function onToggle(event) {
  if (!event.target.matches("details[data-pat-menu][open]")) return;
  closeMenus(event);
  event.target.querySelector("[data-pat-menu-items]")?.scrollIntoView({ block: "nearest" });
}

function closeMenus(event) {
  root.querySelectorAll("details[data-pat-menu][open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
}

function closeMenu(inside, focuses = false) {
  const menu = inside.closest("details[data-pat-menu]");
  if (!menu) return;
  menu.open = false;
  if (focuses) menu.querySelector("summary").focus();
}

let searching = new AbortController();
let searchTimer = 0;

function search(form, delay) {
  clearTimeout(searchTimer);
  searchTimer = setTimeout(() => {
    searching.abort();
    searching = new AbortController();
    const field = form.elements.in;
    if (holdsSecret(form.elements.q.value)) return attempt(() => lookUp(form));
    const url = withQuery({
      q: form.elements.q.value.trim(),
      in: field.selectedIndex ? field.value : "",
      operation: form.elements.operation.value,
    });
    attempt(() => visit(url, form.dataset.patLive.split(" "), { replace: true, signal: searching.signal }));
  }, delay);
}

// Secrets are never put into a URL, which browsers and servers store.
function holdsSecret(text) {
  return new RegExp(root.dataset.patSecretPattern).test(text);
}

async function lookUp(form) {
  const { json } = await send(form);
  const query = new URL(json.location, location.href).searchParams;
  form.elements.q.value = query.get("q") ?? "";
  form.elements.in.value = query.get("in") ?? form.elements.in.options[0].value;
  form.elements.operation.value = query.get("operation") ?? "";
  await visit(json.location, form.dataset.patLive.split(" "), { replace: true });
  toast(json.notice);
}

// Forms that edit a field in place: opened with GET, saved with POST.
function submitInPlace(form, submitter) {
  if (submitter?.getAttribute("aria-busy")) return;
  setBusy(submitter, true);
  const names = (form.dataset.patSwap ?? submitter.dataset.patSwap).split(" ");
  attempt(
    async () => {
      const answer = form.method === "post" ? await send(form, submitter) : await ask(form.action);
      if (answer.json) {
        form.querySelector("button")?.focus();
        await refresh(location.href, answer.json.notice);
        return byKey(form.dataset.patReturn ?? "")?.focus();
      }
      if (!answer.ok || !answer.page.querySelector("[data-pat-root]")) throw new Error("another page"); // the fallback shows it
      swap(names, answer.page);
      const field = root.querySelector("[data-pat-edit] :is(input:not([type=hidden]), textarea)");
      field?.focus();
      field?.setSelectionRange(field.value.length, field.value.length);
    },
    () => form.submit(),
  ).finally(() => setBusy(submitter, false));
}

// Not disabled, because disabled buttons lose the focus and this page stays.
function setBusy(button, isBusy) {
  for (const name of ["aria-busy", "aria-disabled"]) {
    if (isBusy) button?.setAttribute(name, "true");
    else button?.removeAttribute(name);
  }
}

// --- Dialogs: the panel of another page, shown over this one --------------

let opening = false;

async function openDialog(url, opener) {
  if (opening) return; // double click
  opening = true;
  const answer = await ask(url).finally(() => (opening = false));
  const panel = answer.page?.querySelector("[data-pat-panel]");
  if (!panel || !(answer.ok || answer.isGone)) return location.assign(url);
  const dialog = copyOf("dialog-shell");
  const key = opener.closest("[data-pat-key]")?.dataset.patKey;
  closeMenu(opener);
  // Screen readers ignore everything outside of a modal dialog.
  const toasts = root.querySelector("[data-pat-toasts]");
  dialog.prepend(toasts.cloneNode());
  dialog.addEventListener("close", () => {
    toasts.replaceChildren(...dialog.querySelector("[data-pat-toasts]").children);
    dialog.remove();
    if (dialog.hasAttribute("data-pat-gone")) attempt(() => refresh(location.href)); // this page still shows it
    focusKey(key ?? "");
  });
  dialog.addEventListener("click", (event) => {
    if (!event.target.closest("[data-pat-close]")) return;
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("submit", (event) => {
    const isStep = event.submitter?.name === "step" && event.target.hasAttribute("data-pat-scopes");
    if (isStep || event.target.method !== "post") return;
    event.preventDefault();
    event.stopPropagation();
    attempt(() => submitDialog(dialog, event.target, event.submitter));
  });
  showPanel(dialog, panel, url, answer.isGone);
  root.append(dialog);
  enhance(dialog);
  dialog.showModal();
  focusFirst(dialog);
}

function showPanel(dialog, panel, url, isGone) {
  dialog.dataset.patUrl = url;
  dialog.toggleAttribute("data-pat-gone", isGone);
  dialog.querySelector("[data-pat-panel]")?.remove();
  dialog.append(document.adoptNode(panel));
}

// Focuses the first invalid field, or else the errors of the form.
function focusWrong(part) {
  const wrong = [...part.querySelectorAll(`[aria-invalid="true"], fieldset[aria-describedby] input`)];
  const field = wrong.find((one) => one.offsetParent && !one.disabled) ?? part.querySelector("[data-pat-errors]");
  field?.focus();
  return field;
}

function focusFirst(dialog) {
  if (focusWrong(dialog)) return;
  const fields = "[role=combobox], select:not([hidden]), textarea, input:not([type=hidden], [hidden])";
  const first = [...dialog.querySelectorAll(fields)].find((field) => field.offsetParent);
  (first ?? dialog.querySelector("a[data-pat-close]") ?? dialog.querySelector("h1"))?.focus();
}

async function submitDialog(dialog, form, submitter) {
  if (submitter?.getAttribute("aria-busy")) return;
  setBusy(submitter, true);
  let isLeaving = false; // the button stays busy until the next page is loaded
  try {
    const answer = await send(form, submitter);
    isLeaving = Boolean(answer.json?.visit);
    if (isLeaving) return location.assign(answer.json.location);
    if (answer.json) {
      const target = new URL(answer.json.location, location.href);
      if (target.pathname !== location.pathname && location.pathname.startsWith(target.pathname)) {
        isLeaving = true;
        store(NOTICE, answer.json.notice); // the object of this page was deleted
        return location.assign(target);
      }
      await refresh(location.href, answer.json.notice);
      return dialog.close();
    }
    const panel = answer.page.querySelector("[data-pat-panel]");
    if (!panel) return location.assign(answer.url);
    showPanel(dialog, panel, dialog.dataset.patUrl, answer.isGone);
    enhance(dialog);
    focusFirst(dialog);
  } finally {
    if (!isLeaving) setBusy(submitter, false);
  }
}

// --- Toasts and copying ----------------------------------------------------

function toast(text) {
  const note = copyOf("toast-shell");
  note.querySelector("[data-pat-toast-text]").textContent = text;
  (root.querySelector("dialog[open] [data-pat-toasts]") ?? root.querySelector("[data-pat-toasts]")).replaceChildren(note);
  expire(note);
}

// Hides a toast, but not while the user points at it. Its space is kept until the next step, so that nothing moves.
function expire(note) {
  setTimeout(() => (note.matches(":hover, :focus-within") ? expire(note) : note.setAttribute("data-pat-past", "")), 8000);
}

function dismiss(note) {
  const hadFocus = note.contains(document.activeElement);
  const dialog = note.closest("dialog");
  note.remove();
  if (hadFocus) (dialog?.querySelector("h1") ?? root.querySelector("[data-pat-heading]"))?.focus();
}

// Toasts and the link to the summary cover other elements while the user scrolls. Scrolls an element that gets the
// focus from the keyboard, so that they don't cover it.
function uncover({ target }) {
  if (!target.matches(":focus-visible")) return;
  for (const above of root.querySelectorAll("[data-pat-toasts] > *, [data-pat-covers]")) {
    const covered = target.getBoundingClientRect(), cover = above.getBoundingClientRect();
    const isCovered = covered.bottom > cover.top && covered.top < cover.bottom;
    if (isCovered && !above.contains(target)) target.scrollIntoView({ block: "center" });
  }
}

// Removes the notices about the last step when the next one begins.
function forgetNotices() {
  root.querySelectorAll("[data-pat-notice], [data-pat-toasts] > *").forEach((note) => note.remove());
}

async function copyText(button) {
  const text = button.dataset.patCopy;
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyBySelection(text);
    button.setAttribute("data-pat-done", "");
    setTimeout(() => button.removeAttribute("data-pat-done"), 2000);
    toast(say("copied"));
  } catch {
    toast(say("failed"));
  }
}

// navigator.clipboard only exists in secure contexts; over plain HTTP this older API works.
function copyBySelection(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "pat-hidden";
  root.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  if (!isCopied) throw new Error("not copied");
}

function store(key, text) {
  try {
    sessionStorage.setItem(key, text);
  } catch {
    // Storage can be disabled; the next page then shows no notice.
  }
}

function stored(key) {
  try {
    const text = sessionStorage.getItem(key);
    sessionStorage.removeItem(key);
    return text;
  } catch {
    return null;
  }
}

// --- Relative times ---------------------------------------------------------

// The format of the server, in the time zone of the browser.
function dateText(time) {
  const date = new Date(time);
  const month = say("months").split("|")[date.getMonth()];
  return fill(say("date"), { month, day: date.getDate(), year: date.getFullYear() });
}

function datetimeText(time) {
  const date = new Date(time);
  const clock = [date.getHours(), date.getMinutes()].map((number) => String(number).padStart(2, "0")).join(":");
  return fill(say("datetime"), { date: dateText(time), time: clock, zone: zoneOf(date) });
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_whole, name) => values[name]);
}

const zoneFormat = makeZoneFormat();

function makeZoneFormat() {
  const options = { timeZoneName: "short" };
  try {
    return new Intl.DateTimeFormat(root?.lang || undefined, options);
  } catch {
    return new Intl.DateTimeFormat(undefined, options); // a language code that browsers reject
  }
}

function zoneOf(date) {
  return zoneFormat.formatToParts(date).find((part) => part.type === "timeZoneName").value;
}

function tick(part) {
  const now = Date.now();
  part.querySelectorAll("time[data-pat-time]").forEach((element) => {
    const time = Date.parse(element.dateTime);
    const kind = element.dataset.patTime;
    if (!element.dataset.patExact) element.dataset.patExact = element.title = datetimeText(time);
    const text = kind === "at" ? element.dataset.patExact : timeText(kind, time, now);
    if (element.textContent !== text) element.textContent = text;
  });
}

const ENDS = { expires: ["until", "expired"], stops: ["stops", "stopped"] }; // before and after the time

function timeText(kind, time, now) {
  const [before, after] = ENDS[kind] ?? [];
  if (before && time > now) return say(before, span(rounded(time - now)));
  const name = after ?? (kind === "used" ? "ago" : kind);
  return now - time < say("now") * 1000 ? say(name + "Now") : say(name, span(Math.abs(now - time)));
}

// Returns the time that is left, rounded to the smallest unit that is shown.
function rounded(milliseconds) {
  const step = milliseconds >= 86_400_000 ? 3_600_000 : milliseconds >= 60_000 ? 60_000 : 1000;
  return Math.round(milliseconds / step) * step;
}

function span(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  const parts = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = Math.max(0, parts.findIndex(([number]) => number));
  const start = parts.some(([number]) => number) ? first : parts.length - 1;
  return parts
    .slice(start, start + 2)
    .filter(([number, unit], position) => position === 0 || (number && unit !== "s"))
    .map(([number, unit]) => say(unit, number).replace(" ", "\u00a0")) // a number and its unit stay in one line
    .join(" ");
}

// --- Duration: the expiration date of each choice ---------------------------

function startDuration(fields) {
  const zone = fields.querySelector("[data-pat-timezone]");
  if (zone) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
  for (const option of fields.querySelector("[data-pat-duration]").options) {
    const seconds = option.dataset.patSeconds;
    if (seconds) option.text = option.text.replace(/\([^()]*\)$/, `(${dateText(Date.now() + seconds * 1000)})`);
  }
  fields.querySelector("[data-pat-own-date]").addEventListener("input", () => showExpiration(fields));
  showExpiration(fields);
}

function showExpiration(fields) {
  const choice = fields.querySelector("[data-pat-duration]");
  const own = fields.querySelector("[data-pat-own-date]");
  const isOwn = choice.value === "date";
  own.closest("[data-pat-own]").hidden = !isOwn;
  own.disabled = !isOwn;
  const seconds = choice.selectedOptions[0]?.dataset.patSeconds;
  let time = seconds ? Date.now() + seconds * 1000 : NaN;
  if (isOwn && own.value) time = new Date(`${own.value}T23:59:59`).getTime();
  if (!isOwn) mend(own);
  const text = Number.isNaN(time) ? "" : say(time > Date.now() ? "expiry" : "past", datetimeText(time));
  fields.querySelector("[data-pat-expiry]").textContent = text;
}

// --- Rows of scopes -----------------------------------------------------------

function startScopes(form) {
  form.querySelectorAll("[data-pat-row]").forEach((row) => startRow(form, row));
  form.addEventListener("change", (event) => event.target.closest("[data-pat-row]") && updateRows(form));
  form.querySelectorAll("[data-pat-row]").forEach(limitOperations);
  // Browsers restore what was entered before a reload.
  if ([...form.elements].some((field) => field.checked !== field.defaultChecked)) preview(form);
}

function startRow(form, row) {
  startPicker(form, row);
  row.querySelectorAll("select").forEach((select) => selected.set(select, select.value));
}

function updateRows(form) {
  form.querySelectorAll("[data-pat-row]").forEach(limitOperations);
  preview(form);
}

// The entity type of a row; its strings come from a <template>, which scripts of the site don't change.
function typeOf(form, row) {
  const name = row.querySelector("[data-pat-entity-type]").value;
  const template = form.querySelector(`template[data-pat-type="${CSS.escape(name)}"]`);
  return template ? { name, template, ...template.dataset } : null;
}

function takeStep(form, step, button) {
  const rows = form.querySelector("[data-pat-scope-rows]");
  if (step === "add") {
    const numbers = [...rows.children].map((row) => Number(row.dataset.patRow));
    const row = numbered(copyOf("blank", form), Math.max(-1, ...numbers) + 1);
    rows.append(row);
    startRow(form, row);
    row.querySelector("[data-pat-entity-type]").focus();
  } else if (step.startsWith("remove-")) {
    const row = button.closest("[data-pat-row]");
    const near = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    (near?.querySelector('[value^="remove-"]') ?? form.querySelector('[value="add"]')).focus();
  }
  [...rows.children].forEach((row, position) => {
    row.querySelector("legend").textContent = say("row", position + 1);
    const trash = row.querySelector('[value^="remove-"]');
    trash.title = say("remove", position + 1);
    trash.setAttribute("aria-label", trash.title);
  });
  updateRows(form);
}

// In a copied template, __prefix__ is replaced with the number of the row.
function numbered(part, number) {
  for (const element of [part, ...part.querySelectorAll("*")]) {
    for (const attribute of element.attributes) attribute.value = attribute.value.replaceAll("__prefix__", number);
  }
  return part;
}

function changeType(form, row) {
  const place = row.querySelector("[data-pat-operations]");
  const template = (typeOf(form, row) ?? { template: form.querySelector('template[data-pat-type=""]') }).template;
  place.replaceChildren(numbered(template.content.firstElementChild.cloneNode(true), row.dataset.patRow));
  row.querySelector("[data-pat-picker-place]").dispatchEvent(new CustomEvent("pat-reset"));
  updateRows(form);
}

// Operations without an entity, such as create, need "all".
function limitOperations(row) {
  const chosen = [...row.querySelectorAll("[data-pat-entity]")].map((field) => field.value).filter(Boolean);
  row.querySelectorAll("[data-pat-only-all]").forEach((box) => {
    box.disabled = chosen.length > 0 && !chosen.includes("*");
    if (box.disabled) box.checked = false;
  });
}

// The summary comes from the server, as it does without a script.
let previewTimer = 0;
let previewing = new AbortController();

function preview(form) {
  clearTimeout(previewTimer);
  previewTimer = setTimeout(async () => {
    previewing.abort();
    previewing = new AbortController();
    const body = new URLSearchParams(new FormData(form));
    body.append("step", "preview");
    try {
      const { page } = await ask(urlOf(form), { method: "POST", keeps: true, body, signal: previewing.signal });
      const summary = form.querySelector("[data-pat-summary]");
      const fresh = page?.querySelector("[data-pat-summary]");
      if (summary && fresh && textOf(summary) !== textOf(fresh)) summary.replaceChildren(...fresh.childNodes);
    } catch (error) {
      if (error.name !== "AbortError") toast(problem(error));
    }
  }, 120);
}

function textOf(element) {
  return element.textContent.replace(/\s+/g, " ").trim();
}

// --- The entity picker: an ARIA combobox, and a chip with a hidden input for each choice ----

let pickers = 0;

function startPicker(form, row) {
  const place = row.querySelector("[data-pat-picker-place]");
  const select = place.querySelector("select");
  const before = [...place.querySelectorAll("[data-pat-chosen] input:checked")].map((box) => ({ id: box.value, label: box.dataset.patLabel }));
  if (select.value) before.push({ id: select.value, label: select.selectedOptions[0].text });
  const label = row.querySelector("[data-pat-picker] label");
  const picker = copyOf("picker-shell", form);
  const chips = picker.querySelector("[data-pat-chosen]");
  const input = picker.querySelector("[role=combobox]");
  const popup = picker.querySelector("[data-pat-popup]");
  const list = picker.querySelector("[role=listbox]");
  const note = picker.querySelector("[data-pat-note]");
  const status = picker.querySelector("[role=status]");
  const id = `pat-picker-${(pickers += 1)}`;
  let options = [];
  let active = -1;
  let timer = 0;
  let loading = new AbortController();

  input.id = id;
  list.id = `${id}-list`;
  input.setAttribute("aria-controls", list.id);
  for (const name of ["aria-invalid", "aria-describedby"]) {
    if (select.hasAttribute(name)) input.setAttribute(name, select.getAttribute(name));
  }
  label.htmlFor = id;
  list.setAttribute("aria-label", label.firstChild.textContent.trim());
  place.replaceChildren(picker);
  before.forEach(addChip);
  refreshInput();

  function chosen() {
    return [...chips.querySelectorAll("input")].map((field) => field.value);
  }

  function addChip(option) {
    const chip = copyOf("chip", picker);
    const remove = chip.querySelector("button");
    chip.querySelector("[data-pat-chip-label]").textContent = option.label.trim();
    remove.title = say("drop", option.label.trim());
    remove.setAttribute("aria-label", remove.title);
    remove.addEventListener("click", () => {
      const near = chip.nextElementSibling ?? chip.previousElementSibling;
      drop(chip);
      (near?.querySelector("button") ?? input).focus();
    });
    Object.assign(chip.querySelector("input"), { name: select.name, value: option.id });
    chips.append(chip);
    chips.hidden = false;
  }

  function drop(chip) {
    chip.remove();
    chips.hidden = !chips.children.length;
    changed(say("dropped", chip.querySelector("[data-pat-chip-label]").textContent));
  }

  function changed(text) {
    status.textContent = text;
    place.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function refreshInput() {
    const type = typeOf(form, row);
    input.disabled = !type?.name;
    input.placeholder = type?.name ? say("search") : say("first");
    input.value = "";
    close();
  }

  function close() {
    clearTimeout(timer);
    loading.abort();
    popup.hidden = true;
    unmark();
    input.setAttribute("aria-expanded", "false");
  }

  function unmark() {
    list.children[active]?.removeAttribute("data-pat-active");
    active = -1;
    input.removeAttribute("aria-activedescendant");
  }

  function load(delay) {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      loading.abort();
      loading = new AbortController();
      const term = input.value.trim();
      if (holdsSecret(term)) return tell(say("none"));
      const url = new URL(typeOf(form, row).patUrl, location.href);
      url.searchParams.set("q", term);
      try {
        const { json } = await ask(url, { signal: loading.signal, keeps: true });
        show(json, term);
      } catch (error) {
        if (error.name !== "AbortError") tell(problem(error));
      }
    }, delay);
  }

  function tell(text) {
    options = [];
    unmark();
    list.hidden = true;
    note.textContent = status.textContent = text;
    note.hidden = popup.hidden = false;
    input.setAttribute("aria-expanded", "false");
  }

  function show(found, term) {
    const all = { id: "*", label: typeOf(form, row).patAll };
    const hasAll = !term || all.label.toLocaleLowerCase().includes(term.toLocaleLowerCase());
    options = [...(hasAll ? [all] : []), ...found.results];
    list.replaceChildren(...options.map((option, position) => optionElement(option, position)));
    note.textContent = found.has_more ? say("more") : found.results.length ? "" : say("none");
    note.hidden = !note.textContent;
    list.hidden = !options.length;
    status.textContent = say("found", options.length);
    unmark();
    popup.hidden = false;
    input.setAttribute("aria-expanded", String(options.length > 0));
  }

  function optionElement(option, position) {
    const element = copyOf("option", picker);
    element.id = `${id}-${position}`;
    element.querySelector("[data-pat-option-label]").textContent = option.label;
    element.querySelector("[data-pat-option-id]").textContent = option.id === "*" || option.id === option.label ? "" : option.id;
    if (option.id === "*") element.setAttribute("data-pat-all", "");
    element.setAttribute("aria-selected", String(chosen().includes(option.id)));
    element.addEventListener("mousedown", (event) => event.preventDefault());
    element.addEventListener("click", () => choose(option));
    return element;
  }

  function move(step) {
    if (popup.hidden) return load(0);
    if (!options.length) return load(0);
    active = active < 0 && step < 0 ? options.length - 1 : (active + step + options.length) % options.length;
    [...list.children].forEach((element, position) => element.toggleAttribute("data-pat-active", position === active));
    list.children[active].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", list.children[active].id);
  }

  // Adds an entity, or removes it if it is chosen already. "All" stands alone.
  function choose(option) {
    input.value = "";
    close();
    const old = [...chips.children].find((chip) => chip.querySelector("input").value === option.id);
    if (old) return drop(old);
    const isAlone = option.id === "*";
    const excluded = [...chips.children].filter((chip) => isAlone !== (chip.querySelector("input").value === "*"));
    excluded.forEach((chip) => chip.remove());
    addChip(option);
    changed(say(isAlone && excluded.length ? "replaced" : "added", option.label));
  }

  place.addEventListener("pat-reset", () => {
    chips.replaceChildren();
    chips.hidden = true;
    refreshInput();
  });
  input.addEventListener("change", (event) => event.stopPropagation());
  input.addEventListener("input", () => load(120));
  input.addEventListener("click", () => popup.hidden && load(0));
  input.addEventListener("blur", () => {
    const typed = input.value.trim().toLocaleLowerCase();
    const same = popup.hidden || !typed ? [] : options.filter((option) => [option.label, option.id].some((t) => t.toLocaleLowerCase() === typed));
    if (same.length === 1 && !chosen().includes(same[0].id)) choose(same[0]);
    close();
    input.value = "";
  });
  input.addEventListener("keydown", (event) => {
    const isOpen = !popup.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      move(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter" && isOpen) {
      event.preventDefault();
      const first = options.find((option) => option.id !== "*") ?? options[0];
      const option = options[active] ?? (input.value.trim() ? first : undefined);
      if (option) choose(option);
    } else if (event.key === "Enter" && (input.value.trim() || !chips.children.length)) {
      event.preventDefault();
      load(0);
    } else if (event.key === "Backspace" && !input.value && chips.children.length) {
      drop(chips.lastElementChild);
    } else if (["Home", "End", "ArrowLeft", "ArrowRight"].includes(event.key)) {
      unmark(); // back to the text field, where the browser moves the cursor
    } else if (event.key === "Tab" && isOpen && active >= 0) {
      choose(options[active]);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      event.stopPropagation();
      close();
    }
  });
}

if (root) start();
