// The review page: who is shown, what is decided, and the keys.

import { NOTHING, basis, boxAround, edited, ordered, other, samePlace, standing, written } from "./decisions.js";
import { byId, make } from "./elements.js";
import { listenToKeys } from "./keys.js";
import { Panel } from "./panel.js";
import { Stage } from "./stage.js";
import { RETRY, Steps } from "./steps.js";

const HOLD = 250;
const NUDGE_REST = 500;
const MESSAGE_SHOWN = 3500;
const RESTART = `Start posefix review again with --port ${location.port}; this page goes on trying.`;

const table = await ask("people");
const names = table.keypoints;
table.names = names.map((name) => name.replaceAll("_", " "));
const view = { person: null, decision: NOTHING, shown: "after", chosen: null, others: true, dragged: null, nudging: null, waiting: false };
let list = [];

async function ask(path) {
  const response = await fetch(path);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.problem);
  return answer;
}

// Lists of people ---------------------------------------------------------------------------------------------

const fits = (person) => ["all", table.standing[person]].includes(byId("filter").value);

/** The nearest person in the list, before or behind this one, who passes a test. */
function neighbour(direction, test = fits) {
  const at = list.indexOf(view.person.person);
  for (let place = at + direction; place >= 0 && place < list.length; place += direction) {
    if (test(list[place])) return list[place];
  }
  return null;
}

const isUndecided = (person) => table.standing[person] === "undecided";
const nextUndecided = () => neighbour(1, isUndecided) ?? list.find(isUndecided) ?? null;

async function go(person, otherwise) {
  finishNudge();
  if (person === null) return say(otherwise);
  return open(person);
}

/** To the next person of the list after a decision; who was left out comes last. */
function onward(done, wasLast) {
  const place = wasLast ? null : neighbour(1) ?? nextUndecided();
  if (place !== null) return open(place, done);
  refresh();
  return say(`${done}. Everybody is decided: ${table.titles.output} is complete.`);
}

let opening = 0;
let retry = null;
async function open(person, done = "") {
  const number = ++opening;
  stay();
  view.waiting = true;
  let answer;
  try {
    answer = await ask(`people/${person}`);
  } catch (error) {
    view.waiting = false;
    unanswered(error, () => open(person, done));
    return undefined;
  }
  if (number !== opening) return undefined;
  finishNudge();
  view.waiting = false;
  Object.assign(view, {
    person: answer, decision: answer.decisions[person], chosen: null, dragged: null, nudging: null,
  });
  view.shown = basis(view.decision);
  history.replaceState(null, "", `#person=${person}`);
  const photo = `photos/${table.photo[person]}?${table.key}`;
  const images = answer.size_wh ? [{ href: photo, box: [0, 0, ...answer.size_wh] }] : [];
  if (answer.close_up) images.push({ href: `people/${person}/close-up?${table.key}`, box: answer.close_up });
  complain("server", null);
  complain("photo", answer.problem);
  const box = boxAround([...answer.before, ...answer.after, ...poseWritten()]);
  stage.open(images, box ?? [0, 0, ...(answer.size_wh ?? [100, 100])], answer.problem);
  refresh();
  say([done && `${done}.`, `${panel.who()}.`, spoken(table.standing[person])].filter(Boolean).join(" "), !done);
  prefetch();
  return undefined;
}

/** Tell that a person cannot be shown, and try again as long as the server is away and nobody works on. */
function unanswered(error, again) {
  if (!(error instanceof TypeError)) return complain("server", error.message); // it did answer
  retry = setTimeout(again, RETRY);
  if (!steps.queue.length) complain("server", `The server does not answer. ${RESTART}`);
  return undefined;
}

const stay = () => clearTimeout(retry);

function prefetch() {
  const next = neighbour(1);
  if (next !== null) new Image().src = `photos/${table.photo[next]}?${table.key}`;
}

// What is shown -----------------------------------------------------------------------------------------------

const poseWritten = () => written(view.person, view.decision, names);
const isWritten = () => view.shown === basis(view.decision);
const spoken = (value) => (value === "undecided" ? "" : `${value[0].toUpperCase()}${value.slice(1)}.`);

/** The pose on the stage: the one that is written, or the other one for comparison. */
function poseShown() {
  return isWritten() ? poseWritten() : view.person[view.shown];
}

function showPose() {
  const places = poseShown();
  if (view.dragged) places[view.dragged.index] = view.dragged.place;
  stage.show({
    places,
    before: view.shown === "before",
    trails: view.shown === "after" ? view.person.before : null,
    others: view.others ? view.person.others.map((other) => other.places) : [],
    chosen: view.chosen,
  });
}

function refresh() {
  const { person } = view.person;
  table.standing[person] = standing(view.decision);
  showPose();
  panel.fill();
}

/** Tell what happened; quietly: only to those who cannot see it beside the photo. */
function say(text, quietly = false) {
  byId("message").textContent = text;
  byId("message").classList.toggle("old", quietly);
  clearTimeout(say.timer);
  say.timer = setTimeout(() => byId("message").classList.add("old"), MESSAGE_SHOWN);
}

const problems = {};
/** Tell what is wrong with the photo, with saving, or with the server; nothing when it is mended. */
function complain(kind, problem, button = null) {
  problems[kind] = problem ? make("p", {}, problem, ...(button ? [button] : [])) : "";
  const told = Object.values(problems).filter(Boolean);
  byId("problem").hidden = !told.length;
  byId("problem").replaceChildren(...told);
}

// Decisions ---------------------------------------------------------------------------------------------------

function decide(decision, send = true) {
  stay();
  view.decision = decision;
  view.shown = basis(decision);
  if (send) steps.take({ step: "decide", person: view.person.person, decision });
  refresh();
}

function accept() {
  finishNudge();
  const corrected = standing(view.decision) === "corrected";
  return settle(corrected ? view.decision : { verdict: "accepted", edits: {} }, corrected ? "Correction kept" : "Accepted");
}

function reject() {
  finishNudge();
  return settle({ verdict: "rejected", edits: {} }, "Rejected");
}

function settle(decision, done) {
  const wasOpen = list.some(isUndecided);
  if (decision !== view.decision && standing(decision) !== standing(view.decision)) decide(decision);
  return onward(done, wasOpen && !list.some(isUndecided));
}

function startOver() {
  finishNudge();
  if (standing(view.decision) === "undecided") return;
  decide(NOTHING);
  say("Started over with this person.");
}

function stepBack(step) {
  finishNudge();
  const possible = step === "undo" ? table.can_undo || steps.queue.length : table.can_redo;
  if (possible) steps.take({ step });
  else say(`There is nothing to ${step}.`);
}

/** Put a keypoint somewhere; the pose that is shown becomes the one to start from. */
function put(index, place, send = true) {
  const rounded = place && place.map((value) => Math.round(1000 * value) / 1000);
  decide(edited(view.person, view.decision, names, view.shown, index, rounded), send);
}

function choose(index) {
  if (index === view.chosen) return;
  finishNudge();
  view.chosen = index;
  refresh();
  if (index === null) return;
  say(`${table.names[index]}${poseShown()[index] ? "" : ", missing"}`);
  byId("keypoints").children[index].scrollIntoView({ block: "nearest", inline: "nearest" });
}

function chooseNext(direction) {
  const at = view.chosen === null ? (direction > 0 ? -1 : names.length) : view.chosen;
  choose((at + direction + names.length) % names.length);
}

function drag(index, place, done) {
  stay();
  view.dragged = done || !place ? null : { index, place };
  if (done) {
    put(index, place);
    say(`${table.names[index]} moved.`);
  } else {
    showPose();
  }
}

/** Nudges in a row are one step, taken when they end. */
function nudge(dx, dy) {
  const place = poseShown()[view.chosen];
  if (!place) return say(`${table.names[view.chosen]} is missing; M brings it back.`);
  const { scale } = stage.view;
  put(view.chosen, [place[0] + dx / scale, place[1] + dy / scale], false);
  clearTimeout(view.nudging);
  view.nudging = setTimeout(finishNudge, NUDGE_REST);
  byId("saved").textContent = "Saving …";
  return undefined;
}

function finishNudge() {
  if (view.nudging === null) return;
  clearTimeout(view.nudging);
  view.nudging = null;
  steps.take({ step: "decide", person: view.person.person, decision: view.decision });
  const [x, y] = poseWritten()[view.chosen] ?? [];
  if (x !== undefined) say(`${table.names[view.chosen]} moved to ${x.toFixed(1)}, ${y.toFixed(1)}.`);
}

function toggleMissing() {
  finishNudge();
  const index = view.chosen;
  if (index === null) return say("Choose a keypoint first: K, or a click.");
  const there = poseShown()[index];
  put(index, there ? null : view.person[view.shown][index] ?? view.person[other(view.shown)][index] ?? freePlace());
  return say(`${table.names[index]} ${there ? "is missing now" : "is back; drag it to its place"}.`);
}

/** For a keypoint that neither pose has: the middle of what is seen. */
function freePlace() {
  return stage.unplace(stage.size.map((side) => side / 2));
}

function swapPlace() {
  finishNudge();
  const index = view.chosen;
  if (index === null) return say("Choose a keypoint first: K, or a click.");
  const [own, foreign] = [view.person[view.shown][index], view.person[other(view.shown)][index]];
  if (!foreign) return say(`${table.names[index]} is missing in the other pose.`);
  if (samePlace(own, foreign)) return say(`Both poses have ${table.names[index]} at this place.`);
  const there = samePlace(poseShown()[index], foreign);
  put(index, there ? own : foreign);
  return say(`${table.names[index]} ${there ? "is back at its own place" : "is where the other pose has it"}.`);
}

function look(shown) {
  finishNudge();
  view.shown = shown;
  refresh();
  say(`${shown === "before" ? "Before" : "Refined"}${isWritten() ? "" : ", for comparison"}`);
}

/** A tap switches; holding compares until it is let go. */
const holding = { since: null, back: null };
function hold(shown) {
  if (holding.since !== null || !view.person) return;
  Object.assign(holding, { since: performance.now(), back: view.shown });
  look(shown);
}

function release() {
  if (holding.since === null) return;
  const held = performance.now() - holding.since > HOLD;
  holding.since = null;
  if (held && view.shown !== holding.back) look(holding.back);
}

// Saving ------------------------------------------------------------------------------------------------------

function saved(answer, entry) {
  for (const kind of ["saving", "server"]) complain(kind, null);
  complain("output", answer.output.problem && outputProblem(answer.output.problem));
  table.can_undo = answer.can_undo;
  table.can_redo = answer.can_redo;
  const decision = answer.decisions[answer.person];
  if (entry.step !== "decide") {
    table.standing[answer.person] = standing(decision);
    open(answer.person, entry.step === "undo" ? "Undone" : "Redone");
  } else if (view.person.person === answer.person) {
    refresh();
  } else {
    panel.fill();
  }
  showSaved(answer.output);
}

const outputProblem = (problem) => `Every decision is kept, but the file is behind: ${problem}`;

/** Decisions are in the journal when the server answers; the file follows. */
async function showSaved(output) {
  clearTimeout(showSaved.timer);
  const current = !steps.queue.length && view.nudging === null;
  byId("saved").textContent = current ? "Saved" : "Saving …";
  if (!current || output.problem || output.steps >= steps.version) return;
  showSaved.timer = setTimeout(async () => {
    try {
      const { output: now } = await ask("status");
      complain("output", now.problem && outputProblem(now.problem));
      showSaved(now);
    } catch {
      return; // the next step will tell
    }
  }, 700);
}

function reloadButton() {
  const button = make("button", { type: "button" }, "Load again");
  button.addEventListener("click", () => location.reload());
  return button;
}

const steps = new Steps(table.review, table.version, {
  waiting: () => { byId("saved").textContent = "Saving …"; },
  done: saved,
  offline: (count) => {
    byId("saved").textContent = "Not saved";
    complain(
      "saving",
      `The server does not answer: ${count === 1 ? "the last step is" : `the last ${count} steps are`} not saved yet. ` +
      RESTART,
    );
  },
  refused: (problem) => complain("saving", `Not saved: ${problem}`, reloadButton()),
  stale: (problem) => complain("saving", problem, reloadButton()),
});

// Keys and buttons --------------------------------------------------------------------------------------------

const LETTERS = {
  a: accept, r: reject, n: () => go(neighbour(1), "This is the last person of the list."),
  p: () => go(neighbour(-1), "This is the first person of the list."),
  g: () => go(nextUndecided(), "Everybody is decided."),
  u: () => stepBack("undo"), c: startOver, k: () => chooseNext(1), j: () => chooseNext(-1), m: toggleMissing,
  x: swapPlace, f: () => stage.fit(), "+": () => stage.zoom(1.25), "=": () => stage.zoom(1.25),
  "-": () => stage.zoom(0.8), o: toggleOthers, "?": () => byId("help").showModal(), b: () => hold(other(view.shown)),
};
function toggleOthers() {
  view.others = !view.others;
  showPose();
  say(view.others ? "Other people are shown" : "Other people are hidden");
}

function onArrow(dx, dy, { shiftKey, repeat }) {
  const step = shiftKey ? 10 : 1;
  if (view.chosen !== null) nudge(dx * step, dy * step);
  else if (dx && !repeat) LETTERS[dx > 0 ? "n" : "p"]();
}

function listen() {
  const press = (name, act) => byId(name).addEventListener("click", (event) => {
    if (view.waiting) return;
    act();
    if (event.detail) byId("stage").focus({ focusVisible: false }); // after a mouse, keys belong to the photo again
  });
  for (const [name, act] of Object.entries({
    accept, reject, undo: () => stepBack("undo"), redo: () => stepBack("redo"), clear: startOver,
    previous: LETTERS.p, next: LETTERS.n, missing: toggleMissing, swap: swapPlace, fit: LETTERS.f,
    "zoom-in": LETTERS["+"], "zoom-out": LETTERS["-"],
  })) press(name, act);
  for (const shown of ["before", "after"]) {
    const button = byId(`view-${shown}`);
    button.addEventListener("pointerdown", () => hold(shown));
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    button.addEventListener("click", (event) => { if (!event.detail) look(shown); });
  }
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("letters").addEventListener("change", () => localStorage.setItem("letters", String(byId("letters").checked)));
  for (const name of ["pointerup", "pointercancel", "blur"]) addEventListener(name, release);
  listenToKeys({
    letters: LETTERS, arrow: onArrow, escape: () => choose(null), enter: accept, remove: toggleMissing, step: stepBack,
    singleKeys: () => byId("letters").checked, waiting: () => view.waiting || !view.person,
    elsewhere: () => byId("help").open,
  });
  addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "b") release(); });
  for (const name of ["pagehide", "blur"]) addEventListener(name, finishNudge);
  listenToList("filter", showList);
  listenToList("order", () => {
    list = ordered(table, byId("order").value);
    open(list.find(fits) ?? view.person.person);
  });
}

/** After a choice with the mouse, keys belong to the photo again; by keyboard, the list keeps them. */
function listenToList(name, act) {
  let mouse = false;
  byId(name).addEventListener("pointerdown", () => { mouse = true; });
  byId(name).addEventListener("keydown", () => { mouse = false; });
  byId(name).addEventListener("change", () => {
    act();
    if (mouse) byId("stage").focus({ focusVisible: false });
  });
}

function showList() {
  finishNudge();
  const first = fits(view.person.person) ? view.person.person : list.find(fits);
  if (first === undefined) {
    panel.fill();
    return say(`Nobody is ${byId("filter").value}.`);
  }
  return open(first);
}

function start() {
  const { results, refined, output } = table.titles;
  document.title = `${output} · posefix review`;
  byId("title").textContent = output;
  byId("files").textContent = `from ${results} and ${refined}`;
  byId("letters").checked = localStorage.getItem("letters") !== "false";
  list = ordered(table, byId("order").value);
  listen();
  const asked = Number(new URLSearchParams(location.hash.slice(1)).get("person") ?? -1);
  open(table.standing[asked] ? asked : list.find(isUndecided) ?? list[0]);
  byId("stage").focus({ focusVisible: false });
  showSaved(table.output);
}

const panel = new Panel(table, view, {
  list: () => list.filter((person) => fits(person) || person === view.person.person),
  undoable: () => table.can_undo || steps.queue.length > 0,
  choose,
});
const stage = new Stage(byId("picture"), table, { choose, move: drag });
start();
