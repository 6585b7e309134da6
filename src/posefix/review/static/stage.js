// The photo with poses on it: zoom and pan, and keypoints under a mouse or finger.

import { draw, drawName, drawOther, drawPose, drawRing, drawTrails } from "./pose.js";

const REACH = { mouse: 14, pen: 18, touch: 26 };
const STILL = { mouse: 3, pen: 4, touch: 7 };
const LARGEST_SCALE = 60;
const MARGIN = { top: 64, bottom: 60, side: 34 };

export class Stage {
  /**
   * @param svg the element
   * @param layout names, sides, limbs and colours of keypoints
   * @param listener choose(index or null), move(index, place, done)
   */
  constructor(svg, layout, listener) {
    this.svg = svg;
    this.layout = layout;
    this.listener = listener;
    this.photo = draw("g");
    this.overlay = draw("g");
    svg.append(this.photo, this.overlay);
    this.view = { scale: 1, x: 0, y: 0 };
    this.scene = null;
    this.pointers = new Map();
    this.gesture = null;
    this.hovered = null;
    for (const [name, act] of Object.entries({
      pointerdown: this.down, pointermove: this.moved, pointerup: this.up, pointercancel: this.cancelled,
      pointerleave: this.left, dblclick: this.fit,
    })) svg.addEventListener(name, act.bind(this));
    svg.addEventListener("wheel", this.wheel.bind(this), { passive: false });
    new ResizeObserver(() => (this.touched ? this.render() : this.fit())).observe(svg);
  }

  /**
   * Show another person.
   * @param images [{href, box: [left, top, width, height]}], those above last
   * @param box what must be seen: [left, top, width, height] in pixels of the photo
   */
  open(images, box, problem) {
    this.cancelled();
    this.box = box;
    this.photo.replaceChildren(...images.map(({ href, box: [x, y, width, height] }) =>
      draw("image", { href, x, y, width, height, preserveAspectRatio: "none" })));
    this.problem = problem;
    this.hovered = null;
    this.fit();
  }

  /** Show these poses: {places, before, trails, others, chosen, editable}; places in pixels of the photo. */
  show(scene) {
    this.scene = scene;
    this.render();
  }

  get size() {
    return [this.svg.clientWidth || 1, this.svg.clientHeight || 1];
  }

  /** Photo pixels, whose centres are whole numbers, to pixels of the screen. */
  place(point) {
    return point && [(point[0] + 0.5) * this.view.scale + this.view.x, (point[1] + 0.5) * this.view.scale + this.view.y];
  }

  unplace([x, y]) {
    return [(x - this.view.x) / this.view.scale - 0.5, (y - this.view.y) / this.view.scale - 0.5];
  }

  fit() {
    if (!this.box) return;
    this.touched = false;
    const [width, height] = this.size;
    const [left, top, wide, high] = this.box;
    const room = [Math.max(width - 2 * MARGIN.side, 40), Math.max(height - MARGIN.top - MARGIN.bottom, 40)];
    const scale = Math.min(room[0] / Math.max(wide, 1), room[1] / Math.max(high, 1), LARGEST_SCALE / 2);
    this.view = {
      scale,
      x: width / 2 - (left + wide / 2 + 0.5) * scale,
      y: MARGIN.top + room[1] / 2 - (top + high / 2 + 0.5) * scale,
    };
    this.render();
  }

  zoom(factor, [x, y] = this.size.map((side) => side / 2)) {
    const scale = Math.min(Math.max(this.view.scale * factor, 0.02), LARGEST_SCALE);
    const share = scale / this.view.scale;
    this.view = { scale, x: x - (x - this.view.x) * share, y: y - (y - this.view.y) * share };
    this.touched = true;
    this.render();
  }

  pan(dx, dy) {
    this.view = { ...this.view, x: this.view.x + dx, y: this.view.y + dy };
    this.touched = true;
    this.render();
  }

  render() {
    if (this.drawn) return;
    this.drawn = requestAnimationFrame(() => { this.drawn = null; this.paint(); });
  }

  /** Half the width of limbs: thinner on people who are small on the screen. */
  unit() {
    const longest = Math.max(this.box[2], this.box[3]) * this.view.scale;
    return Math.min(Math.max(longest / 260, 1), 2.2);
  }

  paint() {
    if (!this.scene || !this.box) return;
    const { scale, x, y } = this.view;
    this.photo.setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
    this.photo.setAttribute("image-rendering", scale > 6 ? "pixelated" : "auto");
    const { scene, layout } = this;
    const unit = this.unit();
    const places = scene.places.map((place) => this.place(place));
    const parts = scene.others.map((other) => drawOther(layout, other.map((place) => this.place(place))));
    if (scene.trails) parts.push(drawTrails(layout, scene.trails.map((place) => this.place(place)), places, unit));
    parts.push(drawPose(layout, places, unit, scene.before));
    const named = this.hovered ?? scene.chosen;
    if (scene.chosen !== null && places[scene.chosen]) parts.push(drawRing(places[scene.chosen], unit));
    if (named !== null && places[named] && !this.gesture) {
      parts.push(drawName(layout.names[named], places[named], this.size[0], unit));
    }
    if (this.problem) {
      const words = { x: this.size[0] / 2, y: this.size[1] / 2, "text-anchor": "middle", class: "photo-problem" };
      parts.unshift(draw("text", words, "The photo cannot be shown."));
    }
    this.overlay.replaceChildren(...parts);
  }

  // Pointers ----------------------------------------------------------------------------------------------------

  at(event) {
    const box = this.svg.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** The nearest keypoint within reach; the chosen one before all others. */
  hit([x, y], reach) {
    if (!this.scene) return null;
    let [best, nearest] = [null, reach];
    this.scene.places.forEach((place, index) => {
      if (!place) return;
      const [px, py] = this.place(place);
      const away = Math.hypot(px - x, py - y) - (index === this.scene.chosen ? reach / 3 : 0);
      if (away < nearest) [best, nearest] = [index, away];
    });
    return best;
  }

  down(event) {
    if (event.button > 0) return;
    const at = this.at(event);
    this.svg.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size === 2) {
      this.giveUp();
      this.gesture = { kind: "pinch", ...this.spread() };
    } else if (this.pointers.size === 1) {
      const index = this.hit(at, REACH[event.pointerType] ?? REACH.mouse);
      if (index === null) {
        this.gesture = { kind: "pan", start: at, last: at, still: true };
      } else {
        const [x, y] = this.place(this.scene.places[index]);
        const origin = this.scene.places[index];
        this.gesture = { kind: "drag", index, origin, start: at, offset: [x - at[0], y - at[1]], still: true };
        this.listener.choose(index);
      }
    }
  }

  moved(event) {
    const at = this.at(event);
    if (!this.pointers.has(event.pointerId)) return this.hover(at, event);
    this.pointers.set(event.pointerId, at);
    const gesture = this.gesture;
    if (!gesture) return undefined;
    if (gesture.kind === "pinch") return this.pinch();
    if (gesture.still) {
      const still = STILL[event.pointerType] ?? STILL.mouse;
      if (Math.hypot(at[0] - gesture.start[0], at[1] - gesture.start[1]) < still) return undefined;
      gesture.still = false;
      this.svg.classList.toggle("panning", gesture.kind === "pan");
    }
    if (gesture.kind === "pan") {
      this.pan(at[0] - gesture.last[0], at[1] - gesture.last[1]);
      gesture.last = at;
    } else {
      this.listener.move(gesture.index, this.dragged(gesture, at), false);
    }
    return undefined;
  }

  dragged({ offset }, [x, y]) {
    return this.unplace([x + offset[0], y + offset[1]]);
  }

  up(event) {
    const gesture = this.gesture;
    this.pointers.delete(event.pointerId);
    if (gesture?.kind === "pinch") {
      const [rest] = this.pointers.values();
      this.gesture = rest ? { kind: "pan", start: rest, last: rest, still: false } : null;
      return;
    }
    this.gesture = null;
    this.svg.classList.remove("panning");
    if (gesture?.kind === "drag" && !gesture.still) {
      this.listener.move(gesture.index, this.dragged(gesture, this.at(event)), true);
    } else if (gesture?.kind === "pan" && gesture.still) {
      this.listener.choose(null);
    }
    this.render();
  }

  cancelled() {
    this.giveUp();
    this.pointers.clear();
    this.svg.classList.remove("panning");
  }

  /** A drag that becomes something else puts its keypoint back. */
  giveUp() {
    const gesture = this.gesture;
    this.gesture = null;
    if (gesture?.kind === "drag" && !gesture.still) this.listener.move(gesture.index, null, false);
  }

  left() {
    if (!this.gesture && this.hovered !== null) {
      this.hovered = null;
      this.render();
    }
  }

  hover(at, event) {
    if (event.pointerType === "touch") return;
    const index = this.hit(at, REACH.mouse);
    this.svg.classList.toggle("over", index !== null);
    if (index === this.hovered) return;
    this.hovered = index;
    this.render();
  }

  spread() {
    const [[x1, y1], [x2, y2]] = [...this.pointers.values()];
    return { middle: [(x1 + x2) / 2, (y1 + y2) / 2], apart: Math.max(Math.hypot(x1 - x2, y1 - y2), 1) };
  }

  pinch() {
    if (this.pointers.size < 2) return;
    const { middle, apart } = this.spread();
    const before = this.gesture;
    this.gesture = { kind: "pinch", middle, apart };
    this.pan(middle[0] - before.middle[0], middle[1] - before.middle[1]);
    this.zoom(apart / before.apart, middle);
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const speed = event.ctrlKey ? 0.01 : 0.0016;
    this.zoom(Math.exp(-event.deltaY * lines * speed), this.at(event));
  }
}
