/** Which server is asked next, and when to give up. Times are in seconds. */

/**
 * @typedef {object} Timing
 * @property {number} patience how long a lost server is looked for since the dictation last got on
 * @property {number} loyal how long the server that holds the session is looked for before the
 *   others have their turns: elsewhere all the audio has to be sent again
 * @property {number} firstRetry between two attempts to reach a server: doubled each time, …
 * @property {number} lastRetry … up to this
 * @property {number} connect how long a server has to accept a connection
 * @property {number} probe after so much silence of a server that owes an answer it is asked for
 *   a sign of life
 * @property {number} stall after so much more it counts as lost: a phone that changes networks is
 *   not told
 */

/** @type {Timing} */
export const TIMING = {
  patience: 60,
  loyal: 5,
  firstRetry: 0.1,
  lastRetry: 3,
  connect: 10,
  probe: 10,
  stall: 20,
};

/** @returns {number} seconds of a clock that never goes back */
export function now() {
  return performance.now() / 1000;
}

/** The servers that may be asked, in the order of preference. They are looked for with patience,
 * and each of them once in any case; until one is reached each is asked once. */
export class Servers {
  wasReached = false;
  #left;
  #timing;
  #turn = 0;
  #movesOn = false;
  #gotOn = true;
  #since = 0;
  #delay = 0;
  #visits = 0;

  /**
   * @param {string[]} urls
   * @param {Timing} timing
   */
  constructor(urls, timing) {
    this.#left = [...urls];
    this.#timing = timing;
  }

  get count() {
    return this.#left.length;
  }

  /** Whose turn it is. */
  get current() {
    return /** @type {string} */ (this.#left[this.#turn]);
  }

  /** The dictation got on: whoever is lost now is looked for anew. */
  gotOn() {
    this.#gotOn = true;
  }

  /** The next connection goes to the next server. */
  moveOn() {
    this.#movesOn = true;
  }

  /** The current one is asked no more. */
  drop() {
    this.#left.splice(this.#turn, 1);
    this.#turn -= 1;
    this.#movesOn = true;
  }

  /** Seconds until the next attempt, at whoever's turn it is then; null: give up. */
  pause() {
    const timing = this.#timing;
    if (this.#gotOn) {
      this.#gotOn = false;
      this.#since = now();
      this.#delay = timing.firstRetry;
      this.#visits = 0;
    }
    const lostFor = now() - this.#since;
    const patience = this.wasReached ? timing.patience : 0;
    this.#visits += 1;
    if (!this.count || (lostFor >= patience && this.#visits >= this.count)) return null;
    if (this.#movesOn || lostFor >= Math.min(timing.loyal, patience)) {
      this.#turn = (this.#turn + 1) % this.count;
      this.#movesOn = false;
    }
    const delay = this.#delay;
    this.#delay = Math.min(2 * delay, timing.lastRetry);
    return this.wasReached ? delay : 0;
  }
}
