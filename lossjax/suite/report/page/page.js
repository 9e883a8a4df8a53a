// Tables. A click on a column's head puts its best first, a second one turns it round.
// A table is one stop of the tab key; arrows go on from there.
const made = (tag, text, more) => Object.assign(document.createElement(tag), { textContent: text, ...more });
for (const table of document.querySelectorAll("table.sortable")) {
  const area = table.parentElement;
  const heads = [...table.tHead.rows[0].cells];
  const title = (head) => (head.querySelector("[title]") ?? head).textContent.trim();
  heads.forEach((head, column) => {
    if (head.tagName !== "TH") return;
    const button = made("button", "", { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const best = head.dataset.first ?? "ascending";
      const turned = best === "ascending" ? "descending" : "ascending";
      const order = head.ariaSort === best ? turned : best;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
      const compare = (a, b) => {
        const x = key(a), y = key(b);
        if (x === "" || y === "") return (x === "") - (y === "");
        const sign = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
        return order === "ascending" ? sign : -sign;
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
    });
  });
  // As a file: a number in full, what stands beside it in a column of its own.
  const save = made("button", "CSV", { type: "button", title: "save this table as CSV" });
  save.addEventListener("click", () => {
    const rows = [...table.tBodies[0].rows];
    const beside = heads.map((_, c) => rows.some((row) => row.cells[c].querySelector(".half")));
    const quoted = (text) => {
      const safe = /^[=+\-@\t\r]/.test(text) && isNaN(text) ? `'${text}` : text;
      return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    const cells = (cell, c) => {
      const half = cell.querySelector(".half")?.textContent ?? "";
      const shown = cell.textContent.replace(half, "").trim();
      const value = cell.dataset.sort && !isNaN(cell.dataset.sort) ? cell.dataset.sort : shown;
      return beside[c] ? [value, half] : [value];
    };
    const names = heads.flatMap((head, c) => [title(head), `${title(head)} beside`].slice(0, beside[c] ? 2 : 1));
    const lines = [names, ...rows.map((row) => [...row.cells].flatMap(cells))];
    const text = lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n";
    const link = made("a", "", { download: table.dataset.file });
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.click();
    URL.revokeObjectURL(link.href);
  });
  table.caption.firstElementChild.append(" ", save);
  const stops = [...area.querySelectorAll("thead button, caption a, caption button")];
  stops.forEach((stop, i) => { stop.tabIndex = i ? -1 : 0; });
  area.removeAttribute("tabindex");
  area.addEventListener("keydown", (event) => {
    const at = stops.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: stops.length - 1 }[event.key];
    if (at < 0 || !stops[to]) return;
    event.preventDefault();
    stops[at].tabIndex = -1;
    stops[to].tabIndex = 0;
    stops[to].focus();
  });
}
// A link to what is folded unfolds it.
const unfold = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  let fold = target?.closest("details:not([open])");
  if (!fold) return;
  for (; fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target.scrollIntoView({ behavior: "instant" });
};
addEventListener("hashchange", unfold);
if (location.hash) unfold();
// Copying a command; where the browser forbids it, the line is selected instead.
for (const button of document.querySelectorAll(".copy button")) {
  const line = button.previousElementSibling;
  const select = () => getSelection().selectAllChildren(line);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(line.textContent);
      button.textContent = "copied";
    } catch { select(); }
  });
}
// The section in view is marked in the navigation.
const links = new Map();
for (const link of document.querySelectorAll("nav a")) links.set(link.hash.slice(1), link);
const watch = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    for (const link of links.values()) link.removeAttribute("aria-current");
    links.get(entry.target.id).setAttribute("aria-current", "true");
  }
}, { rootMargin: "-15% 0px -75% 0px" });
for (const section of document.querySelectorAll("main > section")) watch.observe(section);
