// Names of classes come from folders: they enter the page through textContent and setAttribute only.

const NOTHING = "·"; // quieter than a 0, of which most matrices are full
const PADDING = 14; // pixels left and right of a name, together
const CELL_PADDING = 10; // the same of a number
const NARROWEST = 28; // pixels of a column; a finger needs 24
const WIDEST_NAME = 116; // pixels of a name that lies above its column; 20 letters fit in two lines
const ROOMY = 96; // pixels beyond which a column is not widened
const ROOMY_UPRIGHT = 56; // the same where the names stand
const CORNER = 96; // pixels of the words above the true classes, in two lines
const MOST_FOR_NAMES = 0.4; // of the width; on a phone the columns need the rest
const BORDERS = 2; // pixels left and right of the whole table, together
const MANY = 24; // classes beyond which rows are lower

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".graft-matrix");
  root.send = (place) => setTriggerValue("choose", place ?? []);
  const { chosen, ...drawn } = data;
  const dark = isDark(root);
  const shown = JSON.stringify([dark, drawn]); // it is also called when only the theme has changed
  if (root.shown !== shown) draw(root, { ...data, colors: data.colors[dark ? "dark" : "light"] });
  root.shown = shown;
  if (!root.observer) listen(root);
  mark(root, chosen);
}

function listen(root) {
  const { table, scroller } = parts(root);
  table.addEventListener("keydown", (event) => press(root, event));
  table.addEventListener("click", (event) => click(root, event));
  table.addEventListener("focusin", (event) => {
    makeTabStop(root, cellOf(event));
    point(root, cellOf(event));
  });
  table.addEventListener("pointerover", (event) => {
    const cell = cellOf(event);
    if (cell) cell.title = cell.getAttribute("aria-label");
    point(root, cell);
  });
  table.addEventListener("pointerleave", () => point(root, null));
  scroller.addEventListener("scroll", () => tellMore(root), { passive: true });
  root.observer = new ResizeObserver(() => fit(root));
  root.observer.observe(root);
  document.fonts.ready.then(() => fit(root));
}

// --- drawing -------------------------------------------------------------------------------------------------------

function draw(root, data) {
  const { table, scrolls } = parts(root);
  const held = root.contains(document.activeElement) && root.stop ? placeOf(root.stop) : null;
  root.data = data;
  root.stop = null;
  root.classList.toggle("many", data.names.length > MANY);
  root.classList.toggle("diverging", Boolean(data.diverging));
  if (data.label) table.setAttribute("aria-label", data.label);
  fit(root); // beforehand: thousands of cells are then laid out once
  table.tHead.replaceChildren(makeHeader(data));
  table.tBodies[0].replaceChildren(...data.names.map((_, row) => makeRow(data, row)));
  scrolls.textContent = data.scrolls;
  fit(root);
  if (held) cellAt(root, held)?.focus({ preventScroll: true });
}

function isDark(root) {
  const pen = brush();
  pen.fillStyle = getComputedStyle(root).getPropertyValue("--st-background-color");
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(pen.fillStyle.slice(at, at + 2), 16));
  return red + green + blue < 1.5 * 255;
}

function makeHeader(data) {
  const row = document.createElement("tr");
  const corner = make("th", "corner");
  corner.textContent = data.corner;
  row.append(corner);
  data.names.forEach((name, column) => {
    const header = make("th", "column");
    header.scope = "col";
    header.setAttribute("aria-label", name);
    header.title = name;
    header.append(makeName(data.shown[column]));
    row.append(header);
  });
  return row;
}

function makeRow(data, row) {
  const line = document.createElement("tr");
  const header = make("th", "row");
  const total = data.totals[row];
  header.scope = "row";
  header.setAttribute("aria-label", data.names[row]);
  header.title = fill(data.row, total, { true: data.names[row] });
  header.append(makeName(data.shown[row]));
  line.append(header);
  for (let column = 0; column < data.names.length; column += 1) line.append(makeCell(data, row, column));
  return line;
}

function makeCell(data, row, column) {
  const cell = document.createElement("td");
  const shade = data.shades[row][column];
  cell.tabIndex = -1;
  cell.setAttribute("aria-selected", "false");
  cell.setAttribute("aria-label", describe(data, row, column));
  if (row === column) cell.className = "right";
  if (shade < 0) {
    cell.textContent = NOTHING;
    return cell;
  }
  cell.textContent = data[data.show][row][column];
  [cell.style.backgroundColor, cell.style.color] = data.colors[shade];
  return cell;
}

function describe(data, row, column) {
  return fill(row === column ? data.right : data.wrong, data.counts[row][column], {
    true: data.names[row],
    predicted: data.names[column],
    share: data.shares[row][column],
  });
}

// In one pass: a class may be called "{predicted}".
function fill([one, more], n, values) {
  return (n === "1" ? one : more).replace(/\{(\w+)\}/g, (_, name) => ({ n, ...values })[name]);
}

function makeName(text) {
  const name = make("span", "name");
  name.textContent = text;
  return name;
}

function make(tag, className) {
  const element = document.createElement(tag);
  element.className = className;
  return element;
}

// --- size ----------------------------------------------------------------------------------------------------------

// Names lie above their columns where all of them fit, or where they are no wider than the numbers; else they stand.
function fit(root) {
  if (!root.data || !root.clientWidth) return;
  const { scroller } = parts(root);
  const needs = measure(root);
  const room = root.clientWidth - BORDERS;
  lay(root, needs, room, 0);
  const scrolls = scroller.scrollHeight > scroller.clientHeight;
  const bar = scrolls ? scroller.offsetWidth - scroller.clientWidth - BORDERS : 0;
  if (bar > 0) lay(root, needs, room - bar, bar);
  tellMore(root);
}

function lay(root, needs, room, bar) {
  const { frame, table } = parts(root);
  const num = root.data.names.length;
  const names = Math.min(needs.row, Math.max(CORNER, Math.floor(room * MOST_FOR_NAMES)));
  const share = Math.floor((room - names) / num);
  const upright = share < needs.lying && needs.cell < needs.lying;
  const column = upright
    ? Math.max(needs.cell, Math.min(share, ROOMY_UPRIGHT))
    : Math.min(share, Math.max(needs.lying, ROOMY));
  const width = names + num * column;
  root.classList.toggle("upright", upright);
  root.style.setProperty("--names", `${names}px`);
  root.style.setProperty("--column", `${column}px`);
  table.style.width = `${width}px`;
  frame.style.width = `${Math.min(width, room) + bar + BORDERS}px`;
}

function measure(root) {
  const { data } = root;
  const { table } = parts(root);
  const pen = brush();
  const widest = (texts, ask) => Math.ceil(Math.max(...texts.map(ask)));
  const width = (text) => pen.measureText(text).width;
  const { fontSize, fontFamily } = getComputedStyle(table);
  pen.font = `600 ${fontSize} ${fontFamily}`;
  const cell = Math.max(NARROWEST, widest(longest(data[data.show].flat()), width) + CELL_PADDING);
  const lying = Math.min(WIDEST_NAME, widest(data.shown, (name) => inTwoLines(name, width))) + PADDING;
  return { cell, lying: Math.max(cell, lying), row: Math.max(CORNER, widest(data.shown, width) + PADDING + 6) };
}

function brush() {
  return (brush.pen ??= document.createElement("canvas").getContext("2d"));
}

// Measuring 14,400 texts would take longer than drawing them.
function longest(texts) {
  const length = Math.max(...texts.map((text) => text.length));
  return [...new Set(texts.filter((text) => text.length === length))].slice(0, 200);
}

function inTwoLines(name, width) {
  const breaks = [...name.matchAll(/[\s-]+/g)].map((found) => found.index + found[0].length);
  const halves = breaks.map((at) => Math.max(width(name.slice(0, at).trimEnd()), width(name.slice(at))));
  return Math.min(width(name), ...halves);
}

function tellMore(root) {
  const { frame, scroller, scrolls } = parts(root);
  const right = scroller.scrollWidth - scroller.clientWidth;
  const below = scroller.scrollHeight - scroller.clientHeight;
  const at = Math.abs(scroller.scrollLeft); // negative where one reads from right to left
  frame.classList.toggle("more-before", at > 1);
  frame.classList.toggle("more-after", at < right - 1);
  frame.classList.toggle("more-above", scroller.scrollTop > 1);
  frame.classList.toggle("more-below", scroller.scrollTop < below - 1);
  scrolls.hidden = right <= 1 && below <= 1;
}

// --- choosing ------------------------------------------------------------------------------------------------------

function mark(root, chosen) {
  const before = root.querySelector("td.chosen");
  const cell = chosen && cellAt(root, chosen);
  if (before !== cell) {
    before?.classList.remove("chosen");
    before?.setAttribute("aria-selected", "false");
    cell?.classList.add("chosen");
    cell?.setAttribute("aria-selected", "true");
    emphasize(root, "of-chosen", cell);
    if (cell) reveal(root, cell);
  }
  const inside = root.contains(document.activeElement);
  if (!root.stop || (cell && !inside)) makeTabStop(root, cell ?? cellAt(root, [0, 0]));
}

// Shown at once, and told: the answer will say the same.
function choose(root, cell) {
  const place = cell && placeOf(cell);
  mark(root, place);
  root.send(place);
}

function click(root, event) {
  const cell = cellOf(event);
  if (!cell || event.detail > 1) return; // a double click chooses, and does not at once let go
  choose(root, cell.classList.contains("chosen") ? null : cell);
}

function press(root, event) {
  const cell = cellOf(event);
  if (!cell || event.altKey || event.metaKey || event.shiftKey) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    if (!event.repeat && !cell.classList.contains("chosen")) choose(root, cell);
  } else if (event.key === "Escape" && root.querySelector("td.chosen")) {
    event.preventDefault();
    choose(root, null);
  } else {
    const next = target(root, placeOf(cell), event);
    if (!next) return;
    event.preventDefault();
    const reached = cellAt(root, next);
    reached.focus({ preventScroll: true });
    reveal(root, reached);
    reached.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

function target(root, [row, column], event) {
  const last = root.data.names.length - 1;
  const within = (number) => Math.max(0, Math.min(last, number));
  const { table, scroller } = parts(root);
  const body = scroller.clientHeight - table.tHead.offsetHeight;
  const page = Math.max(1, Math.floor(body / table.tBodies[0].rows[0].offsetHeight) - 1);
  if (event.ctrlKey) return { Home: [0, 0], End: [last, last] }[event.key];
  return {
    ArrowRight: [row, within(column + forward(table))],
    ArrowLeft: [row, within(column - forward(table))],
    ArrowDown: [within(row + 1), column],
    ArrowUp: [within(row - 1), column],
    Home: [row, 0],
    End: [row, last],
    PageDown: [within(row + page), column],
    PageUp: [within(row - page), column],
  }[event.key];
}

// Scroll the table, not the page, until the headers cover nothing of the cell.
function reveal(root, cell) {
  const { table, scroller } = parts(root);
  const view = scroller.getBoundingClientRect();
  const box = cell.getBoundingClientRect();
  const { width, height } = table.tHead.rows[0].cells[0].getBoundingClientRect();
  const left = view.left + scroller.clientLeft;
  const right = left + scroller.clientWidth;
  const top = view.top + scroller.clientTop;
  scroller.scrollLeft +=
    forward(table) > 0
      ? outside(box.left, box.right, left + width, right)
      : outside(box.left, box.right, left, right - width);
  scroller.scrollTop += outside(box.top, box.bottom, top + height, top + scroller.clientHeight);
}

function outside(start, end, from, to) {
  if (start < from) return start - from;
  return end > to ? end - to : 0;
}

function forward(table) {
  return getComputedStyle(table).direction === "rtl" ? -1 : 1;
}

// One cell at a time is reached by Tab, the others by arrows: leaving a large matrix takes one key.
function makeTabStop(root, cell) {
  if (!cell) return;
  if (root.stop) root.stop.tabIndex = -1;
  root.stop = cell;
  cell.tabIndex = 0;
}

function point(root, cell) {
  emphasize(root, "here", cell);
}

function emphasize(root, className, cell) {
  for (const header of root.querySelectorAll(`th.${className}`)) header.classList.remove(className);
  if (!cell) return;
  cell.parentElement.cells[0].classList.add(className);
  parts(root).table.tHead.rows[0].cells[cell.cellIndex].classList.add(className);
}

// --- parts ---------------------------------------------------------------------------------------------------------

function parts(root) {
  const [frame, scrolls] = root.children;
  const scroller = frame.firstElementChild;
  return { frame, scroller, scrolls, table: scroller.firstElementChild };
}

function cellOf(event) {
  return event.target.closest("td");
}

function cellAt(root, [row, column]) {
  return parts(root).table.tBodies[0].rows[row]?.cells[column + 1] ?? null;
}

function placeOf(cell) {
  return [cell.parentElement.sectionRowIndex, cell.cellIndex - 1];
}
