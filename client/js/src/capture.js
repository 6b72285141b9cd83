/** The audio of a dictation: cut into frames, kept while it may be needed. */

/** PCM16 at 16 kHz. */
export const BYTES_PER_SECOND = 32_000;
/** 100 ms. */
export const FRAME_BYTES = BYTES_PER_SECOND / 10;
/** 35 minutes. Acknowledged audio is kept too, for the case that a server loses it. */
const KEPT_BYTES = 64 * 2 ** 20;

/** Frames by sequence. They are let go only to make room, the oldest first and acknowledged ones
 * alone: an acknowledgement is no promise that the server will still be there. */
export class Capture {
  /** The first sequence that can still be sent. */
  firstKept = 0;
  /** @type {Uint8Array<ArrayBuffer>[]} */
  #frames = [];
  /** What does not fill a frame yet. */
  #rest = new Uint8Array(FRAME_BYTES);
  #restBytes = 0;
  #heldBytes = 0;
  #acknowledged = 0;
  #keptBytes;

  /** @param {number} [keptBytes] */
  constructor(keptBytes = KEPT_BYTES) {
    this.#keptBytes = keptBytes;
  }

  /** Frames captured so far; the sequence of the next. */
  get nFrames() {
    return this.firstKept + this.#frames.length;
  }

  /** Frames that a server has acknowledged. */
  get acknowledged() {
    return this.#acknowledged;
  }

  /** Whether no more may be added until something is acknowledged. */
  get isFull() {
    return this.#heldBytes > this.#keptBytes;
  }

  /** Adds audio, in pieces of any size.
   * @param {Uint8Array} pcm16 */
  add(pcm16) {
    for (let at = 0; at < pcm16.length; ) {
      const piece = pcm16.subarray(at, at + FRAME_BYTES - this.#restBytes);
      this.#rest.set(piece, this.#restBytes);
      this.#restBytes += piece.length;
      at += piece.length;
      if (this.#restBytes === FRAME_BYTES) this.finish();
    }
  }

  /** Makes a frame of what is left, but for half a sample. */
  finish() {
    const whole = this.#restBytes - (this.#restBytes % 2);
    if (whole) {
      this.#frames.push(this.#rest.slice(0, whole));
      this.#heldBytes += whole;
      this.#makeRoom();
    }
    this.#restBytes = 0;
  }

  /** The server holds the frames up to and including this one.
   * @param {number} ackSeq
   * @returns {boolean} whether that is news */
  acknowledge(ackSeq) {
    const now = Math.min(ackSeq + 1, this.nFrames);
    if (now <= this.#acknowledged) return false;
    this.#acknowledged = now;
    this.#makeRoom();
    return true;
  }

  /** A server holds so much and no more: what another one has acknowledged counts no longer.
   * @param {number} ackSeq
   * @returns {boolean} whether all that it lacks is kept */
  rewind(ackSeq) {
    if (ackSeq + 1 < this.firstKept) return false;
    this.#acknowledged = Math.min(ackSeq + 1, this.nFrames);
    return true;
  }

  /** @param {number} sequence
   * @returns {Uint8Array} the audio of a frame that is kept */
  payload(sequence) {
    const frame = this.#frames[sequence - this.firstKept];
    if (!frame) throw new RangeError(`frame ${sequence} is not kept`);
    return frame;
  }

  /** All the audio that is kept, in pieces. */
  get pieces() {
    return this.#frames;
  }

  #makeRoom() {
    while (this.isFull && this.firstKept < this.#acknowledged) {
      this.#heldBytes -= this.#frames.shift()?.length ?? 0;
      this.firstKept += 1;
    }
  }
}
