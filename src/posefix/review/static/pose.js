// A pose as SVG, in pixels of the screen: round marks on the left, square ones on the right, diamonds in the middle.

const SVG = "http://www.w3.org/2000/svg";

export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const css = (colour) => `rgb(${colour.join(" ")})`;

/** A mark of a side: filled, or hollow with its rim inside. */
export function mark(layout, side, [x, y], radius, hollow = false) {
  const colour = css(layout.colours[side]);
  const rim = css(layout.colours.rim);
  const shape = (size, style) => {
    if (side === "left") return draw("circle", { cx: x, cy: y, r: size, ...style });
    const half = 0.9 * size;
    const turn = side === "middle" ? { transform: `rotate(45 ${x} ${y})` } : {};
    return draw("rect", { x: x - half, y: y - half, width: 2 * half, height: 2 * half, ...turn, ...style });
  };
  if (!hollow) return [shape(radius, { fill: colour, stroke: rim, "stroke-width": 0.34 * radius })];
  return [
    shape(radius, { fill: rim, "fill-opacity": 0.45, stroke: rim, "stroke-width": 0.85 * radius }),
    shape(radius, { fill: "none", stroke: colour, "stroke-width": 0.4 * radius }),
  ];
}

function limbSide(layout, start, end) {
  const sides = [layout.sides[start], layout.sides[end]].filter((side) => side !== "middle");
  return sides.length === 0 || new Set(sides).size > 1 ? "middle" : sides[0];
}

function line([x1, y1], [x2, y2], stroke, width, more = {}) {
  return draw("line", { x1, y1, x2, y2, stroke, "stroke-width": width, "stroke-linecap": "round", ...more });
}

/**
 * A whole pose.
 * @param layout sides, limbs and colours
 * @param places on the screen; null where a keypoint is missing
 * @param unit half the width of a limb, pixels
 * @param before whether it is the pose before: dashes and hollow marks
 */
export function drawPose(layout, places, unit, before) {
  const rim = css(layout.colours.rim);
  const limbs = layout.limbs.filter(([start, end]) => places[start] && places[end]);
  const group = draw("g", { class: before ? "pose before" : "pose after" });
  for (const [start, end] of limbs) {
    group.append(line(places[start], places[end], rim, 2 * unit + 2.6, { "stroke-opacity": 0.85 }));
  }
  for (const [start, end] of limbs) {
    const colour = css(layout.colours[limbSide(layout, start, end)]);
    const dashes = before ? { "stroke-dasharray": `${3.4 * unit} ${4 * unit}` } : {};
    group.append(line(places[start], places[end], colour, 2 * unit, dashes));
  }
  places.forEach((place, index) => {
    if (!place) return;
    const marks = mark(layout, layout.sides[index], place, 3.1 * unit, before);
    group.append(draw("g", { class: "keypoint", "data-keypoint": index }, ...marks));
  });
  return group;
}

/** Somebody else in the photo: thin and faint. */
export function drawOther(layout, places) {
  const group = draw("g", { class: "other", opacity: 0.5 });
  const limbs = layout.limbs.filter(([start, end]) => places[start] && places[end]);
  for (const [start, end] of limbs) group.append(line(places[start], places[end], css(layout.colours.rim), 3.4));
  for (const [start, end] of limbs) group.append(line(places[start], places[end], css(layout.colours.middle), 1.4));
  return group;
}

/** Where keypoints were: a small ring and a line to where they are. */
export function drawTrails(layout, from, to, unit) {
  const group = draw("g", { class: "trails" });
  from.forEach((old, index) => {
    const now = to[index];
    if (!old || !now || Math.hypot(now[0] - old[0], now[1] - old[1]) < 4 * unit) return;
    for (const [colour, width] of [[layout.colours.rim, 2 * unit + 1.6], [layout.colours.trail, unit]]) {
      group.append(line(old, now, css(colour), width));
      group.append(draw("circle", {
        cx: old[0], cy: old[1], r: 2.6 * unit, fill: css(layout.colours.rim), "fill-opacity": 0.5, stroke: css(colour),
        "stroke-width": width,
      }));
    }
  });
  return group;
}

/** A ring around the keypoint that is chosen, light on dark so that it is seen everywhere. */
export function drawRing([x, y], unit) {
  const ring = (stroke, width) => draw("circle", {
    cx: x, cy: y, r: 3.1 * unit + 7, fill: "none", stroke, "stroke-width": width,
  });
  return draw("g", { class: "ring" }, ring("#101216", 5), ring("#ffffff", 2.2));
}

/** A name beside a keypoint, inside the stage. */
export function drawName(text, [x, y], width, unit) {
  const length = 7.4 * text.length + 16;
  const gap = 3.1 * unit + 14;
  const left = x + gap + length > width ? Math.max(4, x - gap - length) : x + gap;
  const plate = draw("rect", {
    x: left, y: y - 13, width: length, height: 26, rx: 6, fill: "#101216", "fill-opacity": 0.9, stroke: "#ffffff",
    "stroke-opacity": 0.5,
  });
  const words = draw("text", { x: left + length / 2, y: y + 4.5, fill: "#ffffff", "text-anchor": "middle" }, text);
  return draw("g", { class: "name" }, plate, words);
}
