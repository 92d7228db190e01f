// Shows new messages of one channel, and publishes to it, with the session of the user.
const MAX_SHOWN = 50;

const section = document.querySelector("[data-subscribe]");
const list = section.querySelector("[data-messages]");
const state = section.querySelector("[data-state]");
const form = section.querySelector("[data-publish]");

const source = new EventSource(section.dataset.subscribe);
source.addEventListener("open", () => { state.textContent = section.dataset.listening; });
source.addEventListener("error", () => { state.textContent = section.dataset.waiting; });
source.addEventListener("message", ({ data }) => {
  const { payload, published_by: by, published_at: at } = JSON.parse(data);
  const item = document.createElement("li");
  const text = document.createElement("code");
  text.textContent = JSON.stringify(payload);
  const about = document.createElement("span");
  about.className = "quiet";
  about.textContent = `${by}, ${new Date(at).toLocaleTimeString()}`;
  item.append(text, about);
  list.prepend(item);
  while (list.children.length > MAX_SHOWN) list.lastElementChild.remove();
});

form.hidden = false;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const response = await fetch(form.dataset.publish, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
    body: JSON.stringify({ payload: form.elements.payload.value }),
  }).catch(() => null);
  if (response?.ok) form.reset();
  else state.textContent = (await response?.json().catch(() => null))?.detail ?? section.dataset.failed;
});
