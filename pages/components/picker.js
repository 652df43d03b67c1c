const KEYS = { x: "exclude", k: "keep", l: "relabel" };

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".graft-picker");
  root.act = (kind, value, ids) => setTriggerValue("act", { kind, value, ids });
  root.open = (id) => setTriggerValue("open", id);
  if (!root.selected) begin(root);
  const bar = JSON.stringify([data.words, data.actions, data.classes, data.spare]);
  const cards = JSON.stringify(data.cards);
  root.data = data;
  if (root.shownBar !== bar) drawBar(root);
  if (root.shownCards !== cards) drawCards(root);
  [root.shownBar, root.shownCards] = [bar, cards];
  tell(root);
}

function begin(root) {
  root.selected = new Set();
  root.bar = make("div", "bar");
  root.bar.setAttribute("role", "toolbar");
  root.list = make("div", "list");
  root.list.setAttribute("role", "listbox");
  root.list.setAttribute("aria-multiselectable", "true");
  root.replaceChildren(root.bar, root.list);
  root.list.addEventListener("keydown", (event) => press(root, event));
  root.list.addEventListener("click", (event) => click(root, event));
  root.list.addEventListener("dblclick", (event) => open(root, cardOf(event)));
  root.list.addEventListener("mousedown", (event) => {
    if (event.shiftKey) event.preventDefault(); // extends the selection, not that of text
  });
  root.list.addEventListener("focusin", (event) => makeTabStop(all(root), cardOf(event)));
}

// --- drawing -------------------------------------------------------------------------------------------------------

function drawBar(root) {
  const { words, actions, classes, spare } = root.data;
  root.bar.setAttribute("aria-label", words.bar);
  root.count = make("span", "count");
  root.count.setAttribute("role", "status");
  const parts = [root.count, makeButton(words.all, () => select(root, ids(root)))];
  if (spare.length) parts.push(makeButton(words.spare, () => select(root, root.data.spare)));
  root.needing = [makeButton(words.clear, () => select(root, []))];
  parts.push(root.needing[0], make("span", "gap"));
  if (actions.includes("exclude")) parts.push(need(root, makeButton(words.exclude, () => act(root, "exclude"), "strong")));
  if (actions.includes("relabel") && classes.length) parts.push(makeRelabel(root, words, classes));
  if (actions.includes("keep")) parts.push(need(root, makeButton(words.keep, () => act(root, "keep"))));
  root.bar.replaceChildren(...parts);
}

function need(root, button) {
  root.needing.push(button);
  return button;
}

function makeRelabel(root, words, classes) {
  const group = make("span", "relabel");
  root.classes = make("select", "");
  root.classes.setAttribute("aria-label", words.class);
  root.classes.append(new Option(words.choose, ""), ...classes.map((name) => new Option(name, name)));
  const button = need(root, makeButton(words.relabel, () => act(root, "relabel")));
  root.classes.addEventListener("change", () => tell(root));
  root.relabel = button;
  group.append(root.classes, button);
  return group;
}

function makeButton(text, press, className = "") {
  const button = make("button", className);
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") press();
  });
  return button;
}

function drawCards(root) {
  const { cards, label } = root.data;
  const had = root.contains(document.activeElement) ? all(root).indexOf(document.activeElement) : -1;
  root.list.setAttribute("aria-label", label);
  const known = new Set(ids(root));
  root.selected.forEach((id) => known.has(id) || root.selected.delete(id));
  const groups = [];
  for (const card of cards) {
    const last = groups.at(-1);
    if (card.heading && last?.heading === card.heading) last.cards.push(card);
    else groups.push({ heading: card.heading, cards: [card] });
  }
  root.list.replaceChildren(...groups.flatMap((group, number) => makeGroup(group, number)));
  root.list.classList.toggle("grouped", groups.some((group) => group.heading));
  const next = all(root)[Math.max(0, Math.min(had, cards.length - 1))];
  makeTabStop(all(root), next);
  if (had >= 0) next?.focus();
}

function makeGroup({ heading, cards }, number) {
  const made = cards.map(makeCard);
  if (!heading) return made;
  const group = make("div", "group");
  const title = make("div", "heading");
  title.id = `graft-picker-group-${number}`;
  title.textContent = heading;
  group.setAttribute("role", "group");
  group.setAttribute("aria-labelledby", title.id);
  const row = make("div", "row");
  row.setAttribute("role", "presentation");
  row.append(...made);
  group.append(title, row);
  return [group];
}

function makeCard(item) {
  const card = make("div", "card");
  card.setAttribute("role", "option");
  card.setAttribute("aria-label", item.alt);
  card.dataset.id = item.id;
  card.tabIndex = -1;
  const tick = make("span", "tick");
  const lens = make("span", "lens");
  card.append(makeFrame(item), tick, lens, makeCaption(item));
  return card;
}

// --- selecting -----------------------------------------------------------------------------------------------------

function all(root) {
  return [...root.list.querySelectorAll(".card")];
}

function ids(root) {
  return root.data.cards.map((card) => card.id);
}

function cardOf(event) {
  return event.target.closest(".card");
}

function select(root, chosen) {
  root.selected = new Set(chosen);
  tell(root);
}

function toggle(root, card) {
  const { id } = card.dataset;
  if (!root.selected.delete(id)) root.selected.add(id);
  root.anchor = id;
  tell(root);
}

function extend(root, card) {
  const order = ids(root);
  const from = Math.max(0, order.indexOf(root.anchor ?? card.dataset.id));
  const to = order.indexOf(card.dataset.id);
  order.slice(Math.min(from, to), Math.max(from, to) + 1).forEach((id) => root.selected.add(id));
  tell(root);
}

function tell(root) {
  const { words, spare } = root.data;
  const number = root.selected.size;
  for (const card of all(root)) card.setAttribute("aria-selected", root.selected.has(card.dataset.id));
  const text = words.selected[number === 1 ? 0 : 1].replace("{n}", number.toLocaleString());
  root.count.textContent = number ? text : words.none;
  for (const button of root.needing) button.setAttribute("aria-disabled", number === 0);
  if (root.relabel?.isConnected && !root.classes.value) root.relabel.setAttribute("aria-disabled", "true");
  root.dataset.spare = spare.length;
}

function act(root, kind, only) {
  const chosen = root.selected.size ? ids(root).filter((id) => root.selected.has(id)) : only ? [only] : [];
  const value = kind === "relabel" ? root.classes.value : "";
  if (!chosen.length || (kind === "relabel" && !value)) return;
  for (const card of all(root)) card.classList.toggle("going", chosen.includes(card.dataset.id));
  root.act(kind, value, chosen);
  root.anchor = undefined;
  select(root, []);
}

// --- mouse and keys ------------------------------------------------------------------------------------------------

function click(root, event) {
  const card = cardOf(event);
  if (!card) return;
  card.focus();
  if (event.target.closest(".lens")) open(root, card);
  else if (event.detail > 1) return; // the second half of a double click, which opens
  else if (event.shiftKey) extend(root, card);
  else toggle(root, card);
}

function open(root, card) {
  if (card) root.open(card.dataset.id);
}

function press(root, event) {
  const card = cardOf(event);
  if (!card || event.altKey) return;
  if (event.ctrlKey || event.metaKey) {
    if (event.key.toLowerCase() !== "a") return;
    select(root, ids(root));
  } else if (!pressPlain(root, card, event)) return;
  event.preventDefault();
  event.stopPropagation(); // the page has shortcuts of its own
}

function pressPlain(root, card, event) {
  const next = target(root, card, event.key);
  const kind = KEYS[event.key.toLowerCase()];
  if (next) {
    if (event.shiftKey) {
      root.anchor ??= card.dataset.id;
      extend(root, next);
    } else root.anchor = undefined;
    next.focus();
  } else if (event.key === " ") toggle(root, card);
  else if (event.key === "Enter") open(root, card);
  else if (event.key === "Escape" && root.selected.size) select(root, []);
  else if (kind === "relabel" && root.relabel?.isConnected) root.classes.focus();
  else if (kind && kind !== "relabel" && root.data.actions.includes(kind)) act(root, kind, card.dataset.id);
  else return false;
  return true;
}

function target(root, card, key) {
  const cards = all(root);
  const here = cards.indexOf(card);
  const forward = getComputedStyle(root).direction === "rtl" ? -1 : 1;
  const step = { ArrowRight: forward, ArrowLeft: -forward }[key];
  if (step) return cards[Math.max(0, Math.min(cards.length - 1, here + step))];
  if (key === "Home") return cards[0];
  if (key === "End") return cards.at(-1);
  if (key === "ArrowDown" || key === "ArrowUp") return beyond(cards, card, key === "ArrowDown" ? 1 : -1);
  return undefined;
}

// Cards of groups stand in no common grid, so the next row is found by where things are.
function beyond(cards, card, sign) {
  const at = card.getBoundingClientRect();
  const places = cards.map((other) => ({ other, box: other.getBoundingClientRect() }));
  const ahead = places.filter(({ box }) => sign * (box.top - at.top) > at.height / 2);
  if (!ahead.length) return card;
  const row = sign * Math.min(...ahead.map(({ box }) => sign * box.top));
  const near = ahead.filter(({ box }) => Math.abs(box.top - row) < at.height / 2);
  return near.reduce((best, one) => (Math.abs(one.box.left - at.left) < Math.abs(best.box.left - at.left) ? one : best)).other;
}
