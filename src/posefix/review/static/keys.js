// Keys of the page; fields and buttons keep theirs.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** Keys that act again and again while they are held. */
const REPEATING = ["k", "j", "n", "p", "+", "=", "-"];

/** @param actions letters {key: act}, arrow, escape, enter, remove, step, and singleKeys, waiting, elsewhere to ask */
export function listenToKeys(actions) {
  addEventListener("keydown", (event) => {
    if (event.altKey || actions.elsewhere()) return;
    const act = actionOf(event, actions);
    if (!act) return;
    event.preventDefault();
    if (!actions.waiting()) act(); // nothing is decided about somebody who is not seen yet
  });
}

function actionOf(event, actions) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") return () => actions.step(event.shiftKey ? "redo" : "undo");
    return key === "y" ? () => actions.step("redo") : null;
  }
  if (event.target.closest("select, input")) return null;
  if (key in ARROWS) return () => actions.arrow(...ARROWS[key], event);
  if (key === "Escape") return actions.escape;
  if (key === "Enter") return event.target.closest("button") ? null : once(event, actions.enter);
  if (key === "Delete") return once(event, actions.remove);
  if (!(key in actions.letters) || !actions.singleKeys()) return null;
  return REPEATING.includes(key) ? actions.letters[key] : once(event, actions.letters[key]);
}

const once = (event, act) => (event.repeat ? () => {} : act);
