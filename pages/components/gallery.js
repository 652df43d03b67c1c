const SVG = "http://www.w3.org/2000/svg";
const SIGNS = {
  right: "M6.5 12.5l3.7 3.7 7.3-8",
  wrong: "M7.5 7.5l9 9m0-9l-9 9",
  warning: "M12 6.5v7m0 3.9v.1",
};

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".graft-gallery");
  root.setAttribute("aria-label", data.label);
  root.onkeydown = (event) => move(root, event);
  root.addEventListener("focusin", followFocus); // the same listener again is no second one
  root.onclick = (event) => {
    const card = event.target.closest(".card");
    if (card) setTriggerValue("open", card.dataset.id);
  };
  const shown = JSON.stringify(data.items);
  if (root.shown === shown) return; // a new theme, or the same pictures again: keep the focus where it is
  root.shown = shown;
  root.replaceChildren(...data.items.map(makeCard));
  makeTabStop(root.children, root.firstElementChild);
}

function makeCard(item) {
  const card = make("button", "card");
  card.type = "button";
  card.dataset.id = item.id;
  card.setAttribute("aria-label", item.alt);
  const frame = makeFrame(item);
  if (SIGNS[item.mark]) frame.append(makeMark(item.mark));
  card.append(frame, makeCaption(item));
  return card;
}

function makeMark(name) {
  const mark = make("span", `mark ${name}`);
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  path.setAttribute("d", SIGNS[name]);
  svg.append(path);
  mark.append(svg);
  return mark;
}

function followFocus(event) {
  makeTabStop(event.currentTarget.children, event.target.closest(".card"));
}

function move(root, event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const cards = [...root.children];
  const here = cards.indexOf(event.target.closest(".card"));
  const next = here < 0 ? undefined : target(cards, here, event.key);
  if (next === undefined) return;
  event.preventDefault();
  cards[next].focus();
}

function target(cards, here, key) {
  const last = cards.length - 1;
  const below = cards.findIndex((card) => card.offsetTop > cards[0].offsetTop);
  const columns = below < 0 ? cards.length : below;
  const forward = getComputedStyle(cards[0]).direction === "rtl" ? -1 : 1;
  const lastRow = last - (last % columns);
  switch (key) {
    case "ArrowRight":
      return Math.max(0, Math.min(last, here + forward));
    case "ArrowLeft":
      return Math.max(0, Math.min(last, here - forward));
    case "ArrowDown":
      return here < lastRow ? Math.min(last, here + columns) : here;
    case "ArrowUp":
      return here - columns >= 0 ? here - columns : here;
    case "Home":
      return 0;
    case "End":
      return last;
  }
  return undefined;
}
