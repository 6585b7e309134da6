// What a decision makes of a person's two poses. A decision is {verdict, edits: {name: [x, y] or null}}.

export const NOTHING = { verdict: "undecided", edits: {} };

/** Which pose a decision starts from. */
export const basis = (decision) => (decision.verdict === "rejected" ? "before" : "after");

export const other = (pose) => (pose === "before" ? "after" : "before");

export const standing = (decision) => (Object.keys(decision.edits).length ? "corrected" : decision.verdict);

/** The pose that is written. */
export function written(person, decision, names) {
  const start = person[basis(decision)];
  return names.map((name, index) => (name in decision.edits ? decision.edits[name] : start[index]));
}

/** The decision with a keypoint put somewhere (null: missing), starting from one of the poses. */
export function edited(person, decision, names, from, index, place) {
  const verdict = from === "before" ? "rejected" : "accepted";
  const edits = { ...decision.edits };
  if (samePlace(place, person[from][index])) delete edits[names[index]];
  else edits[names[index]] = place;
  return { verdict, edits };
}

export const samePlace = (a, b) => (a && b ? a[0] === b[0] && a[1] === b[1] : a === b);

/** Around points, in pixels of the photo: [left, top, width, height]; null for no points. */
export function boxAround(places) {
  const there = places.filter(Boolean);
  if (!there.length) return null;
  const [xs, ys] = [there.map(([x]) => x), there.map(([, y]) => y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return [left, top, Math.max(...xs) - left, Math.max(...ys) - top];
}

/** Everybody in the order that was asked for. */
export function ordered(table, order) {
  const people = table.standing.map((_, person) => person);
  const value = {
    movement: (person) => -table.movement[person],
    lowest: (person) => table.score[person],
    highest: (person) => -table.score[person],
    file: () => 0,
  }[order];
  return people.sort((a, b) => value(a) - value(b) || a - b);
}
