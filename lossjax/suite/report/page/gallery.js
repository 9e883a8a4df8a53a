// The gallery by hand: which losses, which images, in which order, as differences.
const option = (value, text) => made("option", text, { value });
const labelled = (text, field) => {
  const label = made("label", `${text} `);
  label.append(field);
  return label;
};
const pixels = (strip) => {
  const { naturalWidth: width, naturalHeight: height } = strip;
  const canvas = made("canvas", "", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(strip, 0, 0);
  const side = +strip.dataset.side, count = +strip.dataset.count;
  const step = count > 1 ? (width - side) / (count - 1) : width;
  return Array.from({ length: count }, (_, i) => context.getImageData(i * step, 0, side, height));
};
const error = (image, original) => {
  let sum = 0;
  for (let i = 0; i < image.data.length; i++) if (i % 4 < 3) sum += (image.data[i] - original.data[i]) ** 2;
  return sum / (image.data.length * 0.75 * 255 * 255);
};
const difference = (image, original) => {
  const map = new ImageData(image.width, image.height);
  for (let i = 0; i < map.data.length; i += 4) {
    const gap = (image.data[i] + image.data[i + 1] + image.data[i + 2]
      - original.data[i] - original.data[i + 1] - original.data[i + 2]) / 3;
    const rest = 255 - Math.min(255, 2 * Math.abs(gap));
    map.data.set(gap > 0 ? [255, rest, rest, 255] : [rest, rest, 255, 255], i);
  }
  return map;
};
const drawn = (images, label) => {
  const [{ width, height }] = images, gap = Math.max(1, Math.floor(width / 12));
  const canvas = made("canvas", "", { className: "strip", width: images.length * (width + gap) - gap, height });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  images.forEach((image, i) => canvas.getContext("2d").putImageData(image, i * (width + gap), 0));
  return canvas;
};
for (const gallery of document.querySelectorAll(".gallery.chosen")) {
  const rows = [...gallery.querySelectorAll(".row")].map((row) => ({
    row, name: row.querySelector(".who").textContent.trim(), strip: row.querySelector("img"),
  }));
  const show = made("select"), order = made("select"), group = made("select");
  show.append(option("images", "images"), option("maps", "differences: red too bright, blue too dark"));
  order.append(option("", "as stored"), ...rows.slice(1).map(({ name }) => option(name, `error of ${name}, largest first`)));
  const labels = gallery.dataset.labels ? gallery.dataset.labels.split(" ") : [];
  group.append(option("", "all"), ...[...new Set(labels)].sort().map((name) => option(name, name)));
  const large = made("button", "large, side by side", { type: "button" });
  const bar = made("div", "", { className: "tools" });
  bar.append(labelled("Show", show), labelled("Order by", order));
  if (labels.length) bar.append(labelled("Class", group));
  bar.append(large, made("span", "A click on an image shows it large."));
  gallery.before(bar);
  let places = [];
  const read = () => rows.forEach((each) => { each.images ??= pixels(each.strip); });
  const draw = () => {
    read();
    const originals = rows[0].images;
    const by = rows.find(({ name }) => name === order.value);
    places = originals.map((_, i) => i).filter((i) => !group.value || labels[i] === group.value);
    if (by) places.sort((a, b) => error(by.images[b], originals[b]) - error(by.images[a], originals[a]));
    for (const each of rows) {
      const map = show.value === "maps" && each !== rows[0];
      const shown = places.map((i) => (map ? difference(each.images[i], originals[i]) : each.images[i]));
      each.strip.hidden = true;
      each.canvas?.remove();
      each.canvas = drawn(shown, `${map ? "differences of " : ""}${each.strip.alt}`);
      each.strip.after(each.canvas);
    }
  };
  for (const field of [show, order, group]) field.addEventListener("change", draw);
  const dialog = made("dialog", "");
  document.body.append(dialog);
  const open = (at) => {
    read();
    const every = places.length ? places : rows[0].images.map((_, i) => i);
    const place = every[at], original = rows[0].images[place];
    const head = made("div", "", { className: "tools" });
    const step = (text, to) => {
      const button = made("button", text, { type: "button", disabled: !(to in every) });
      button.addEventListener("click", () => open(to));
      return button;
    };
    const close = made("button", "close", { type: "button" });
    close.addEventListener("click", () => dialog.close());
    const label = labels.length ? `, class ${labels[place]}` : "";
    head.append(made("b", `Test image ${place + 1} of the gallery${label}`), step("previous", at - 1), step("next", at + 1), close);
    const board = made("div", "", { className: "board" });
    for (const each of rows.filter(({ row }) => !row.classList.contains("off"))) {
      const figure = made("figure"), first = each === rows[0];
      figure.append(drawn([each.images[place]], `${each.name}, image ${place + 1}`));
      if (!first) figure.append(drawn([difference(each.images[place], original)], `difference of ${each.name}`));
      const score = first ? "" : ` squared error ${error(each.images[place], original).toPrecision(3)}`;
      const words = made("figcaption", score);
      words.prepend(...[...each.row.querySelector(".who").childNodes].map((node) => node.cloneNode(true)));
      figure.append(words);
      board.append(figure);
    }
    dialog.replaceChildren(head, board);
    if (!dialog.open) dialog.showModal();
  };
  large.addEventListener("click", () => open(0));
  gallery.addEventListener("click", ({ target, offsetX }) => {
    if (!target.matches(".strip")) return;
    const shown = places.length || +rows[0].strip.dataset.count;
    open(Math.min(shown - 1, Math.floor((offsetX / target.clientWidth) * shown)));
  });
}
// The same loss everywhere: pointing at one lights the others; those ticked are shown alone.
const named = [...document.querySelectorAll("tr, .gallery .row, .worst > figure, .multiples > figure")]
  .map((element) => ({ element, name: element.querySelector("th.loss code, .who code, figcaption code")?.textContent }))
  .filter(({ name }) => name);
const names = [...new Set(named.map(({ name }) => name))];
if (names.length > 1) {
  const filter = made("details", "", { className: "filter" }), wanted = new Set();
  filter.append(made("summary", "Show only some losses"));
  for (const name of names) {
    const box = made("input", "", { type: "checkbox" });
    box.addEventListener("change", () => {
      wanted[box.checked ? "add" : "delete"](name);
      for (const each of named) each.element.classList.toggle("off", wanted.size > 0 && !wanted.has(each.name));
    });
    const label = made("label", "");
    label.append(box, ` ${name}`);
    filter.append(label);
  }
  document.querySelector("header").append(filter);
}
const peek = made("aside", "", { className: "peek", hidden: true, ariaHidden: "true" });
document.body.append(peek);
for (const { element, name } of named) {
  element.addEventListener("pointerenter", () => {
    for (const each of named) each.element.classList.toggle("lit", each.name === name);
    if (element.tagName !== "TR") return;
    const caption = element.closest("table").caption.textContent;
    const gallery = [...document.querySelectorAll(".gallery.chosen")]
      .find(({ dataset }) => caption.startsWith(`${dataset.name}:`) || caption.startsWith(`${dataset.name},`));
    const rows = gallery ? [...gallery.querySelectorAll(".row")] : [];
    const strips = rows.filter((row) => row.matches(".original") || row.querySelector(".who code")?.textContent === name);
    peek.replaceChildren(made("b", name), ...strips.map((row) => row.querySelector("img").cloneNode()));
    for (const strip of peek.querySelectorAll("img")) strip.hidden = false;
    peek.hidden = strips.length < 2;
  });
  element.addEventListener("pointerleave", () => {
    for (const each of named) each.element.classList.remove("lit");
    peek.hidden = true;
  });
}
