// What stands beside the photo: who is shown, what is decided, how far along the review is, and the keypoints.

import { basis, other, samePlace, standing, written } from "./decisions.js";
import { byId, make } from "./elements.js";
import { draw, mark } from "./pose.js";

const count = (number) => number.toLocaleString("en");

export class Panel {
  /**
   * @param table everybody
   * @param view who is shown: person, decision, shown, chosen
   * @param state list(), undoable(), choose(index)
   */
  constructor(table, view, state) {
    this.table = table;
    this.view = view;
    this.state = state;
    table.keypoints.forEach((_, index) => byId("keypoints").append(make("li", {}, this.button(index))));
  }

  button(index) {
    const symbol = draw("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" });
    symbol.append(...mark(this.table, this.table.sides[index], [8, 8], 5));
    const name = make("span", { class: "name" }, this.table.names[index]);
    const button = make("button", { type: "button", "aria-pressed": "false" }, symbol, name, make("span", { class: "note" }));
    button.addEventListener("click", () => this.state.choose(this.view.chosen === index ? null : index));
    return button;
  }

  fill() {
    this.fillPerson();
    this.fillProgress();
    this.fillKeypoints();
  }

  who() {
    const { person, others } = this.view.person;
    const number = others.filter((one) => one.person < person).length + 1;
    const photo = this.table.photo_names[this.table.photo[person]];
    return others.length ? `${photo}, person ${number} of ${others.length + 1}` : photo;
  }

  fillPerson() {
    const { table, view } = this;
    const { person } = view.person;
    const now = standing(view.decision);
    const own = basis(view.decision);
    const moved = table.movement[person].toFixed(1);
    byId("who").textContent = this.who();
    byId("who").title = this.who();
    byId("facts").textContent = `moved ${moved} % of the person's size · score ${table.score[person].toFixed(2)}`;
    byId("standing").textContent = now;
    byId("standing").dataset.standing = now;
    byId("kept").textContent = now === "corrected" ? "keep corrected" : "keep refined";
    byId("undo").disabled = !this.state.undoable();
    byId("redo").disabled = !table.can_redo;
    byId("clear").disabled = now === "undecided";
    for (const name of ["before", "after"]) {
      byId(`view-${name}`).setAttribute("aria-pressed", String(view.shown === name));
      byId(`view-${name}`).classList.toggle("written", own === name && now !== "undecided");
    }
    const shown = view.shown === "before" ? "before" : "refined";
    const which = view.shown === own ? "pose that is written" : "other pose";
    byId("picture").setAttribute("aria-label", `${this.who()}, ${shown} pose, the ${which}; ${now}`);
  }

  fillProgress() {
    const { standing: standings } = this.table;
    const decided = standings.filter((value) => value !== "undecided").length;
    const list = this.state.list();
    byId("count").textContent = `${count(decided)} of ${count(standings.length)} decided`;
    byId("progress").max = standings.length;
    byId("progress").value = decided;
    byId("position").textContent = `${count(list.indexOf(this.view.person.person) + 1)} of ${count(list.length)}`;
  }

  fillKeypoints() {
    const { table, view } = this;
    const { chosen, shown } = view;
    const places = written(view.person, view.decision, table.keypoints);
    [...byId("keypoints").children].forEach((item, index) => {
      const button = item.firstElementChild;
      button.setAttribute("aria-pressed", String(chosen === index));
      button.classList.toggle("away", !places[index]);
      button.classList.toggle("yours", table.keypoints[index] in view.decision.edits);
      button.querySelector(".note").textContent = this.note(index, places[index]);
    });
    const there = chosen !== null && (shown === basis(view.decision) ? places : view.person[shown])[chosen];
    byId("chosen").classList.toggle("some", chosen !== null);
    byId("missing").disabled = chosen === null;
    byId("missing").textContent = chosen !== null && !there ? "Bring back" : "Mark missing";
    byId("swap").disabled = chosen === null || !this.hasOtherPlace(chosen);
    byId("swap").textContent = shown === "before" ? "Use refined place" : "Use place before";
  }

  hasOtherPlace(index) {
    const { person, shown } = this.view;
    const foreign = person[other(shown)][index];
    return Boolean(foreign) && !samePlace(person[shown][index], foreign);
  }

  /** What became of a keypoint. */
  note(index, now) {
    const old = this.view.person.before[index];
    if (this.table.keypoints[index] in this.view.decision.edits) return now ? "yours" : "missing, yours";
    if (!now) return "missing";
    if (!old) return "new";
    const moved = Math.hypot(now[0] - old[0], now[1] - old[1]);
    return moved < 0.05 ? "" : `${moved.toFixed(moved < 10 ? 1 : 0)} px`;
  }
}
