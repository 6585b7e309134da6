// Steps on their way to the server, one after the other; none is forgotten before the server has it.

/** Milliseconds until a server that did not answer is asked again. */
export const RETRY = 1500;

export class Steps {
  /**
   * @param review whose steps these are
   * @param version how many the server has
   * @param listener done(answer, entry), waiting(count), refused(problem), stale(problem), offline(problem)
   */
  constructor(review, version, listener) {
    this.review = review;
    this.version = version;
    this.listener = listener;
    this.queue = [];
    this.busy = false;
    addEventListener("beforeunload", (event) => this.queue.length && event.preventDefault());
  }

  take(entry) {
    this.queue.push(entry);
    this.listener.waiting(this.queue.length);
    this.send();
  }

  async send() {
    if (this.busy || !this.queue.length) return;
    this.busy = true;
    const entry = this.queue[0];
    const body = JSON.stringify({ review: this.review, version: this.version, entry });
    const headers = { "Content-Type": "application/json" };
    try {
      const response = await fetch("steps", { method: "POST", body, headers, keepalive: body.length < 60000 });
      if (response.status >= 500) throw new Error(`status ${response.status}`);
      this.answered(response.status, await response.json(), entry);
    } catch (error) {
      this.listener.offline(this.queue.length);
      setTimeout(() => { this.busy = false; this.send(); }, RETRY);
      return;
    }
    this.busy = false;
    this.send();
  }

  answered(status, answer, entry) {
    if (status === 200) {
      this.queue.shift();
      this.version = answer.version;
      this.listener.done(answer, entry);
    } else {
      this.queue = [];
      if (status === 409) this.listener.stale(answer.problem);
      else this.listener.refused(answer.problem);
    }
  }
}
