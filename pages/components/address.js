// Streamlit makes an entry of the browser's history of every change of the query. Here it is one for each thing that the
// visitor does: what the page adds by itself, such as its own name after the query of the page that a link has left,
// takes the place of the entry before. A photo that is open is one entry, whichever photo it is, and closing it goes back.
(() => {
  if (window.graftHistory) return;
  window.graftHistory = true;
  const push = history.pushState.bind(history);
  const replace = history.replaceState.bind(history);
  let acted = false;
  for (const kind of ["keydown", "pointerdown", "click", "input", "change", "drop"])
    window.addEventListener(kind, () => (acted = true), { capture: true, passive: true });
  window.addEventListener("popstate", () => (acted = false), { capture: true });

  history.pushState = (state, title, url) => {
    const from = new URL(location.href);
    const to = new URL(url, from);
    const elsewhere = withoutPhoto(from) !== withoutPhoto(to);
    if (hasPhoto(from) && !elsewhere) {
      if (hasPhoto(to)) replace(history.state, title, url);
      else if (history.state?.opened) history.back();
      else replace(state, title, url); // opened by a link
    } else if (acted) {
      push({ ...state, opened: hasPhoto(to) && !elsewhere }, title, url);
    } else {
      replace(state, title, url);
    }
    acted = false;
  };

  function hasPhoto(url) {
    return PHOTOS.some((name) => url.searchParams.has(name));
  }

  function withoutPhoto(url) {
    const rest = new URL(url);
    for (const name of PHOTOS) rest.searchParams.delete(name);
    return rest.pathname + rest.search;
  }
})();
