// What the grids of pictures share; it stands before the code of each (see cards.py).
// Texts come from file and folder names: they enter the page through textContent and setAttribute only.

const TINY = 64; // pixels; smaller pictures are enlarged without blur
const ODD = 1.7; // beyond this ratio of the sides, cutting out a square would hide too much

function makeFrame(item) {
  const frame = make("span", item.src ? "frame" : "frame broken");
  if (!item.src) return frame;
  const image = make("img", "");
  image.alt = "";
  image.loading = "lazy";
  image.decoding = "async";
  image.onload = () => {
    const { naturalWidth: width, naturalHeight: height } = image;
    image.classList.toggle("whole", Math.max(width / height, height / width) > ODD);
    image.classList.toggle("tiny", Math.max(width, height) < TINY);
  };
  image.onerror = () => frame.classList.add("broken");
  image.src = item.src;
  frame.append(image);
  return frame;
}

function makeCaption(item) {
  const caption = make("span", "caption");
  for (const line of ["title", "subtitle"]) {
    if (!item[line]) continue;
    const text = make("span", line);
    text.textContent = text.title = item[line];
    caption.append(text);
  }
  return caption;
}

function make(tag, className) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  return element;
}

// One card at a time is reached by Tab, the others by arrows: leaving a long grid takes one key.
function makeTabStop(cards, card) {
  if (!card) return;
  for (const other of cards) other.tabIndex = other === card ? 0 : -1;
}
