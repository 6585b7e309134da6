"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (name) => document.getElementById(name);
  const NAMES = { G: "good", J: "jitter", I: "inversion", S: "swap", M: "miss", m: "missing", "-": "no label" };
  const ERRORS = ["J", "I", "S", "M"];
  const FIRST_ROWS = 50;
  const people = data.sizes.map((_, person) => person);
  const caseOf = new Map(data.cases.map((entry, index) => [entry.person, index]));
  const hasGallery = Boolean(byId("gallery"));
  const view = { ...data.sort, all: false, list: [], at: 0, share: 0, highlighted: null };

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function draw(tag, attributes, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const error = (letter) => (letter === "m" ? "M" : letter);
  const spoken = (name) => name.replaceAll("_", " ");

  // Filters -----------------------------------------------------------------------------------------------------

  const chosen = (name) => (byId(name) ? byId(name).value : "");

  function fits(person) {
    const status = chosen("filter-status");
    const keypoint = chosen("filter-keypoint");
    const size = chosen("filter-size");
    if (size !== "") {
      const band = data.bands[size];
      if (data.sizes[person] < band.low || data.sizes[person] >= band.high) return false;
    }
    if (status === "" && keypoint === "") return true;
    return data.statuses.some((letters) => {
      const own = keypoint === "" ? [...letters[person]] : [letters[person][keypoint]];
      return own.some((letter) => (status === "" ? ERRORS.includes(error(letter)) : error(letter) === status));
    });
  }

  function fillFilters() {
    const add = (name, value, text) => byId(name) && byId(name).append(make("option", { value }, text));
    for (const letter of ERRORS) add("filter-status", letter, NAMES[letter]);
    data.keypoints.forEach((name, index) => add("filter-keypoint", index, spoken(name)));
    data.bands.forEach((band, index) => add("filter-size", index, band.label));
    for (const [kind, list] of Object.entries(data.kinds)) {
      if (list.length) add("filter-kind", kind, `${kind} (${list.length})`);
    }
    byId("filters").addEventListener("change", () => refresh());
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("filters").addEventListener("reset", () => setTimeout(refresh));
  }

  // Table -------------------------------------------------------------------------------------------------------

  function cellText(column, value) {
    if (column.digits === null) return String(value);
    const text = value.toFixed(column.digits);
    return column.sign && value > 0 ? `+${text}` : text;
  }

  function sorted(list) {
    const column = data.columns[view.column];
    const direction = view.descending ? -1 : 1;
    const order = new Intl.Collator("en", { numeric: true });
    const compare = column.digits === null ? order.compare : (a, b) => a - b;
    return [...list].sort((a, b) => direction * compare(column.values[a], column.values[b]));
  }

  function sortBy(index) {
    const text = data.columns[index].digits === null;
    view.descending = view.column === index ? !view.descending : !text;
    view.column = index;
    refresh({ keepPicture: true });
  }

  function fillHeader() {
    const cells = data.columns.map((column, index) => {
      const button = make("button", { type: "button" }, column.title);
      button.addEventListener("click", () => sortBy(index));
      return make("th", { scope: "col" }, button);
    });
    byId("table").tHead.append(make("tr", {}, ...cells));
  }

  function tableRow(person) {
    const cells = data.columns.map((column, index) => {
      const value = column.values[person];
      const cell = make("td");
      if (index === 0 && caseOf.has(person)) {
        const button = make("button", { type: "button", class: "link", title: "Show the picture" }, String(value));
        button.addEventListener("click", () => open(person));
        cell.append(button);
      } else {
        cell.textContent = cellText(column, value);
      }
      if (index === 0) cell.title = String(value);
      if (column.sign && value !== 0) cell.className = value > 0 ? "up" : "down";
      return cell;
    });
    return make("tr", { "data-person": person }, ...cells);
  }

  function fillTable(list) {
    [...byId("table").tHead.rows[0].cells].forEach((cell, index) => {
      if (index === view.column) cell.setAttribute("aria-sort", view.descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    const shown = view.all ? list : list.slice(0, FIRST_ROWS);
    byId("table").tBodies[0].replaceChildren(...shown.map(tableRow));
    byId("more").hidden = shown.length === list.length;
    byId("more").textContent = `Show all ${list.length.toLocaleString("en")} people`;
    byId("count").textContent = `${list.length.toLocaleString("en")} of ${people.length.toLocaleString("en")} people`;
  }

  // Gallery -----------------------------------------------------------------------------------------------------

  function casesShown(fitting) {
    const allowed = new Set(fitting);
    const kind = chosen("filter-kind");
    const order = kind === "" ? [...new Set(Object.values(data.kinds).flat())] : data.kinds[kind];
    return order.filter((index) => allowed.has(data.cases[index].person));
  }

  const current = () => data.cases[view.list[view.at]];
  const ends = () => (data.states.length > 1 ? data.states : [data.states[0], "annotated"]);

  /** The pose at one of the slider's ends: places, letters (none for the annotation). */
  function poseAt(entry, end) {
    if (end < entry.places.length) {
      return { places: entry.places[end], letters: data.statuses[end][entry.person] };
    }
    const labels = [...data.statuses[0][entry.person]].map((letter) => (letter === "-" ? "-" : "G")).join("");
    return { places: entry.truth, letters: labels };
  }

  /** Between the ends keypoints move; one that is missing at an end stays away until the other end is nearer. */
  function poseNow(entry) {
    const [first, last] = [poseAt(entry, 0), poseAt(entry, 1)];
    const near = view.share < 0.5 ? first : last;
    const there = (letter) => letter !== "-" && letter !== "m";
    const places = near.places.map((place, index) => {
      if (!there(near.letters[index])) return null;
      if (!there(first.letters[index]) || !there(last.letters[index])) return place;
      return place.map((value, axis) =>
        (1 - view.share) * first.places[index][axis] + view.share * last.places[index][axis]);
    });
    return { places, letters: near.letters };
  }

  const unitOf = (entry) => Math.max(...entry.size) / 135;

  function limbs(places, style) {
    return data.limbs
      .filter(([start, end]) => places[start] && places[end])
      .map(([start, end]) => {
        const [x1, y1] = places[start];
        const [x2, y2] = places[end];
        return draw("line", { x1, y1, x2, y2, "stroke-linecap": "round", ...style(start, end) });
      });
  }

  function limbColour(start, end) {
    const sides = [data.sides[start], data.sides[end]].filter((side) => side !== "middle");
    const side = sides.length === 0 || new Set(sides).size > 1 ? "middle" : sides[0];
    return data.colours[side];
  }

  /** Left is round, right square, the middle a diamond, as in all of posefix's drawings. */
  function marker(side, [x, y], radius, style) {
    if (side === "left") return draw("circle", { cx: x, cy: y, r: radius, ...style });
    const half = 0.9 * radius;
    const turn = side === "middle" ? { transform: `rotate(45 ${x} ${y})` } : {};
    return draw("rect", { x: x - half, y: y - half, width: 2 * half, height: 2 * half, ...turn, ...style });
  }

  function tag(letter, [x, y], unit) {
    const box = { x: x + 2.2 * unit, y: y - 7.4 * unit, width: 5.4 * unit, height: 5.8 * unit, rx: 1.2 * unit };
    const style = { fill: data.colours[letter], stroke: data.colours.rim, "stroke-width": 0.5 * unit };
    const text = draw("text", {
      x: box.x + box.width / 2, y: box.y + 4.5 * unit, "text-anchor": "middle", fill: data.colours.inks[letter],
      "font-size": 4.6 * unit, "font-weight": 700,
    }, letter);
    return draw("g", { class: "error-tag" }, draw("rect", { ...box, ...style }), text);
  }

  function drawPose(entry) {
    const unit = unitOf(entry);
    const { places, letters } = poseNow(entry);
    const rim = () => ({ stroke: data.colours.rim, "stroke-width": 2.6 * unit });
    const line = (start, end) => ({ stroke: limbColour(start, end), "stroke-width": 1.3 * unit });
    const group = draw("g", { class: "pose" }, ...limbs(places, rim), ...limbs(places, line));
    places.forEach((place, index) => {
      if (!place) return;
      const style = { fill: data.colours[data.sides[index]], stroke: data.colours.rim, "stroke-width": 0.6 * unit };
      const dot = marker(data.sides[index], place, 1.9 * unit, style);
      dot.append(draw("title", {}, `${spoken(data.keypoints[index])}: ${NAMES[letters[index]]}`));
      group.append(dot);
    });
    places.forEach((place, index) => {
      if (place && ERRORS.includes(letters[index])) group.append(tag(letters[index], place, unit));
    });
    if (view.highlighted !== null && places[view.highlighted]) {
      const [cx, cy] = places[view.highlighted];
      const style = { fill: "none", stroke: "#f078aa", "stroke-width": 1.2 * unit, class: "highlight" };
      group.append(draw("circle", { cx, cy, r: 4.2 * unit, ...style }));
    }
    return group;
  }

  function drawTruth(entry) {
    const unit = unitOf(entry);
    const { places, letters } = poseAt(entry, 2);
    const known = places.map((place, index) => (letters[index] === "-" ? null : place));
    const rim = () => ({ stroke: data.colours.rim, "stroke-width": 1.8 * unit });
    const dashes = { stroke: "#fff", "stroke-width": 0.7 * unit, "stroke-dasharray": `${2 * unit} ${1.8 * unit}` };
    const group = draw("g", { class: "truth" }, ...limbs(known, rim), ...limbs(known, () => dashes));
    known.forEach((place, index) => {
      if (!place) return;
      for (const [stroke, width] of [[data.colours.rim, 1.4], ["#fff", 0.7]]) {
        group.append(marker(data.sides[index], place, 1.5 * unit,
          { fill: "none", stroke, "stroke-width": width * unit }));
      }
    });
    return group;
  }

  function drawPicture() {
    const entry = current();
    const svg = byId("picture");
    byId("empty").hidden = Boolean(entry);
    svg.style.display = entry ? "" : "none";
    svg.replaceChildren();
    ends().forEach((_, end) => {
      byId(end ? "morph-end" : "morph-start").classList.toggle("shown", end === (view.share < 0.5 ? 0 : 1));
    });
    if (!entry) return;
    const [width, height] = entry.size;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.append(draw("image", { href: `data:image/jpeg;base64,${entry.jpeg}`, width, height }));
    if (byId("truth").checked) svg.append(drawTruth(entry));
    svg.append(drawPose(entry));
    svg.setAttribute("aria-label", `${byId("who").textContent}. ${byId("summary").textContent}`);
  }

  function keypointRow(entry, index) {
    const cells = data.states.map((_, state) => {
      const letter = data.statuses[state][entry.person][index];
      const cell = make("td");
      if (ERRORS.includes(error(letter))) {
        cell.append(make("span", { class: "tag", "data-error": error(letter) }, error(letter)));
      }
      const similarity = letter === "-" || letter === "m" ? "" : ` ${entry.similarity[state][index].toFixed(2)}`;
      cell.append(NAMES[letter] + similarity);
      return cell;
    });
    const name = make("th", { scope: "row" }, spoken(data.keypoints[index]));
    const row = make("tr", { tabindex: 0 }, name, ...cells);
    const highlight = (value) => () => { view.highlighted = value; drawPicture(); };
    for (const event of ["mouseenter", "focus", "click"]) row.addEventListener(event, highlight(index));
    for (const event of ["mouseleave", "blur"]) row.addEventListener(event, highlight(null));
    return row;
  }

  function fillFacts() {
    const entry = current();
    byId("position").textContent = entry ? `${view.at + 1} of ${view.list.length}` : "none";
    byId("who").textContent = entry ? data.names[entry.person] : "";
    byId("keypoints").tBodies[0].replaceChildren();
    byId("keypoints").tHead.replaceChildren();
    byId("summary").textContent = "";
    if (!entry) return;
    const kinds = Object.keys(data.kinds).filter((kind) => data.kinds[kind].includes(view.list[view.at]));
    const oks = data.oks.map((values) => `${values[entry.person].toFixed(1)} %`).join(" → ");
    byId("summary").textContent = `OKS ${oks}, ${data.sizes[entry.person].toFixed(0)} px; ${kinds.join(", ")}.`;
    const header = ["keypoint", ...data.states].map((name) => make("th", { scope: "col" }, name));
    header.slice(1).forEach((cell) => { cell.title = "status, and similarity with the true keypoint"; });
    byId("keypoints").tHead.append(make("tr", {}, ...header));
    const labelled = data.keypoints.map((_, index) => index)
      .filter((index) => data.statuses[0][entry.person][index] !== "-");
    byId("keypoints").tBodies[0].append(...labelled.map((index) => keypointRow(entry, index)));
  }

  function fillStrip() {
    const buttons = view.list.map((index, position) => {
      const entry = data.cases[index];
      const picture = make("img", { src: `data:image/jpeg;base64,${entry.jpeg}`, alt: "" });
      const name = data.names[entry.person];
      const button = make("button", { type: "button", "aria-label": `Show ${name}`, title: name }, picture);
      button.addEventListener("click", () => show(position));
      return button;
    });
    byId("strip").replaceChildren(...buttons);
  }

  function markCurrent() {
    [...byId("strip").children].forEach((button, position) => {
      if (position === view.at) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    });
    const button = byId("strip").children[view.at];
    const strip = byId("strip");
    if (button) strip.scrollLeft = button.offsetLeft - strip.offsetLeft - (strip.clientWidth - button.clientWidth) / 2;
    const entry = current();
    for (const row of byId("table").tBodies[0].rows) {
      row.classList.toggle("current", Boolean(entry) && Number(row.dataset.person) === entry.person);
    }
  }

  function show(position) {
    const count = view.list.length;
    view.at = count ? (position + count) % count : 0;
    view.highlighted = null;
    fillFacts();
    drawPicture();
    markCurrent();
  }

  function open(person) {
    const index = caseOf.get(person);
    if (!view.list.includes(index)) {
      byId("filter-kind").value = "";
      refresh();
    }
    show(view.list.indexOf(index));
    byId("gallery").scrollIntoView({ block: "start" });
  }

  function morphTo(share) {
    view.share = share;
    byId("morph").value = String(Math.round(100 * share));
    drawPicture();
  }

  function toggle() {
    const [start, end] = [view.share, view.share < 0.5 ? 1 : 0];
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return morphTo(end);
    const begin = performance.now();
    view.target = end;
    const step = (now) => {
      const done = Math.min(1, (now - begin) / 180);
      morphTo(start + (end - start) * done);
      if (done < 1 && view.target === end) requestAnimationFrame(step);
    };
    return requestAnimationFrame(step);
  }

  function onKey(event) {
    const box = byId("gallery").getBoundingClientRect();
    const seen = box.bottom > 120 && box.top < innerHeight - 120;
    if (!seen || event.ctrlKey || event.metaKey || event.altKey) return;
    const field = event.target.closest("input[type=range], select, textarea");
    const pressable = event.target.closest("button, summary, a, input");
    if (event.key === "ArrowLeft" && !field) show(view.at - 1);
    else if (event.key === "ArrowRight" && !field) show(view.at + 1);
    else if (event.key === " " && !pressable && !field) toggle();
    else if (event.key === "t" && !event.target.closest("select")) byId("truth").click();
    else if (event.key === "Escape") byId("filters").reset();
    else return;
    event.preventDefault();
  }

  function fillLegend() {
    const style = { stroke: data.colours.rim, "stroke-width": 1 };
    for (const side of ["left", "right", "middle"]) {
      const symbol = draw("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" },
        marker(side, [8, 8], 5, { ...style, fill: data.colours[side] }));
      byId("legend").append(make("span", {}, symbol, side));
    }
    for (const letter of ERRORS) {
      const badge = make("span", { class: "tag", "data-error": letter }, letter);
      byId("legend").append(make("span", {}, badge, NAMES[letter]));
    }
  }

  function colourTags() {
    const rules = ERRORS.map((letter) =>
      `.tag[data-error=${letter}] { background: ${data.colours[letter]}; color: ${data.colours.inks[letter]}; }`);
    document.head.append(make("style", {}, rules.join("")));
  }

  function startGallery() {
    colourTags();
    [byId("morph-start").textContent, byId("morph-end").textContent] = ends();
    byId("previous").addEventListener("click", () => show(view.at - 1));
    byId("next").addEventListener("click", () => show(view.at + 1));
    byId("morph").addEventListener("input", () => { view.target = null; morphTo(byId("morph").value / 100); });
    byId("truth").addEventListener("change", drawPicture);
    byId("picture").addEventListener("click", toggle);
    document.addEventListener("keydown", onKey);
    fillLegend();
  }

  function refresh({ keepPicture = false } = {}) {
    const fitting = people.filter(fits);
    fillTable(sorted(fitting));
    if (!hasGallery) return;
    if (!keepPicture) {
      view.list = casesShown(fitting);
      fillStrip();
      show(0);
    } else {
      markCurrent();
    }
  }

  byId("more").addEventListener("click", () => { view.all = true; refresh({ keepPicture: true }); });
  fillFilters();
  fillHeader();
  if (hasGallery) startGallery();
  refresh();
})();
