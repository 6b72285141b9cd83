/** One dictation, over as many connections and servers as it takes. */

import { transcribeSomewhere, wav } from './batch.js';
import { Capture } from './capture.js';
import { DictationFailed, ServerUnreachable } from './errors.js';
import { encodeFrame } from './frames.js';
import { parseServer } from './messages.js';
import { Servers, TIMING, now } from './servers.js';
import { checkAddresses, openSocket } from './socket.js';

const PROTOCOL = 1;
/** The highest control level that this client knows. */
const CONTROL = 3;
/** How often all audio is sent for a final that covers it. */
const ATTEMPTS = 2;
/** Bytes that wait in the socket before more are given to it. */
const HIGH_WATER = 2 ** 18;
/** Seconds until a full socket is looked at again. */
const DRAIN_SEC = 0.02;
const NORMAL_CLOSURE = 1000;

/**
 * @typedef {object} Options
 * @property {string | string[]} servers `ws://host:8766/ws/transcribe`; of several, the next takes
 *   over from one that fails
 * @property {string} [language] such as `en`; left out, it is recognized
 * @property {string} [context] names and words that may come up
 * @property {string} [apiKey]
 * @property {number} [control] the highest level to ask for: 1, 2 or 3
 * @property {boolean} [wordTimes] ask for the words of each segment (control 3)
 * @property {boolean} [speakerFilter] leave other voices out (control 3)
 * @property {boolean} [endpointing] whether a pause settles text (control 3)
 * @property {boolean} [batch] post the recording where no dictation is possible; true
 * @property {string} [sessionId]
 * @property {Partial<import('./servers.js').Timing>} [timing] in seconds
 * @property {number} [keptBytes] of audio; 64 MiB
 * @property {typeof WebSocket} [WebSocket] where there is none: Node 20 without
 *   `--experimental-websocket`
 */

/**
 * @typedef {object} Final
 * @property {string} sessionId
 * @property {string} stopId
 * @property {string} text
 * @property {number} [recognizedThroughSeq]
 * @property {boolean} covered whether all that was captured is in the text
 * @property {boolean} viaBatch whether the text was got by posting the recording
 */

/** @typedef {{message: object, after: number, type: string, id: string | number,
 *   resolve: (answer: any) => void, reject: (error: Error) => void}} Request */

/**
 * A dictation under way. Its events carry the server's message in `detail`:
 *
 * - `partial`: `partial`, the whole text so far, is `committed` (only grows, from control 3 on) and
 *   then `tentative`;
 * - `speech`, `segment`, `rejected`: control 3; a segment comes once;
 * - `restarted`: all audio is heard again from the beginning, and partials and segments with it;
 * - `final`: see {@link Final};
 * - `connected`: `{url}`, a server listens;
 * - `trouble`: a DictationFailed, no server listens just now, and audio is taken and kept.
 *
 * A connection that is lost is opened again and the session resumed; a server that reports an
 * error or stays away is given up for the next; when none is left, the recording is posted to their
 * batch endpoints once the dictation is stopped. `result` rejects with a DictationFailed when all
 * of that was in vain, and at once when no session was ever begun. A final that does not cover all
 * the audio comes only after all of it was sent twice.
 */
export class Dictation extends EventTarget {
  /** @type {Promise<Final>} */
  result;
  /** @type {DictationFailed | null} why no server listens just now */
  trouble = null;
  isOver = false;
  /** What the server granted; 0 before the session has begun. */
  control = 0;

  #options;
  #urls;
  #timing;
  #servers;
  #capture;
  /** @type {Record<string, unknown>} */
  #start;
  #opensWith = 'start';
  #attemptsLeft;
  /** @type {{stopId: string, finalCapturedSeq: number} | null} */
  #stop = null;
  /** @type {Final | null} */
  #final = null;
  /** @type {Request[]} flushes and marks that are not answered */
  #requests = [];
  #nRequests = 0;
  /** The segments that were told of. */
  #segments = new Set();
  /** @type {Connection | null} */
  #connection = null;
  #leaving = new AbortController();
  /** @type {Set<() => void>} who waits for something to change */
  #waiting = new Set();

  /** Connects at once. Throws a DictationFailed for an address that cannot be one.
   * @param {Options} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#urls = checkAddresses(options.servers);
    this.#timing = { ...TIMING, ...options.timing };
    this.#servers = new Servers(this.#urls, this.#timing);
    this.#attemptsLeft = Math.max(ATTEMPTS, this.#urls.length) - 1;
    this.#capture = new Capture(options.keptBytes);
    this.#start = startOf(options);
    this.result = this.#run();
    this.result.catch(() => {}); // told to whoever asks for it
  }

  get sessionId() {
    return /** @type {string} */ (this.#start.sessionId);
  }

  /** Frames so far. */
  get capturedFrames() {
    return this.#capture.nFrames;
  }

  /** The audio that is kept, as a WAV file: for a person to save when all else has failed. */
  recording() {
    return wav(this.#capture.pieces);
  }

  /** Sends audio, PCM16 at 16 kHz, mono, in pieces of any size. It is taken at once; the promise
   * waits only while more of it than is kept has not been acknowledged.
   * @param {Uint8Array | Int16Array | ArrayBuffer} pcm16 */
  async send(pcm16) {
    if (this.isOver || this.#stop) return;
    this.#capture.add(bytesOf(pcm16));
    this.#tell();
    while (this.#capture.isFull && !this.isOver) await this.#changed();
  }

  /** Ends the utterance.
   * @param {string} [stopId]
   * @returns {Promise<Final>} `result` */
  stop(stopId = newId()) {
    if (!this.#stop && !this.isOver) {
      this.#capture.finish();
      this.#stop = { stopId, finalCapturedSeq: this.#capture.nFrames };
      this.#tell();
    }
    return this.result;
  }

  /** Has what was sent so far sealed into segments (control 3). The promise is kept when it is.
   * @param {string | number} [id]
   * @returns {Promise<object>} the server's `flushed` */
  flush(id) {
    return this.#ask('flush', 'flushed', id);
  }

  /** Tells when all audio sent so far has been decoded (control 3).
   * @param {string | number} [id]
   * @returns {Promise<{recognizedThroughSeq?: number}>} the server's `marked` */
  mark(id) {
    return this.#ask('mark', 'marked', id);
  }

  /** Leaves without a result. */
  close() {
    if (this.isOver) return;
    this.isOver = true;
    this.#leaving.abort(new DictationFailed('left', 'the dictation was left'));
    this.#connection?.close(null);
    this.#tell();
  }

  /** @param {string} type
   * @param {string} answer
   * @param {string | number} [given]
   * @returns {Promise<any>} */
  #ask(type, answer, given) {
    if (this.#stop || this.isOver) {
      return Promise.reject(new DictationFailed('left', `a ${type} came after the stop`));
    }
    const id = given ?? `${type}-${(this.#nRequests += 1)}`;
    this.#capture.finish();
    return new Promise((resolve, reject) => {
      const message = { type, id };
      this.#requests.push({
        message, after: this.#capture.nFrames, type: answer, id, resolve, reject,
      });
      this.#tell();
    });
  }

  #tell() {
    this.#connection?.pump();
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  /** @returns {Promise<void>} */
  #changed() {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  /** @returns {Promise<Final>} */
  async #run() {
    /** @type {DictationFailed | null} */
    let failure = null;
    try {
      failure = await this.#visit();
      if (failure && this.control && this.#options.batch !== false && !this.isOver) {
        await this.#save();
      }
      if (this.#leaving.signal.aborted) throw this.#leaving.signal.reason;
      if (!this.#final) throw failure ?? new DictationFailed('no_final', 'there is no final');
      this.#emit('final', this.#final);
      return this.#final;
    } finally {
      this.isOver = true;
      this.#connection = null;
      for (const request of this.#requests) {
        request.reject(failure ?? new DictationFailed('left', 'the dictation is over'));
      }
      this.#tell();
    }
  }

  /** Connects again and again until it is over.
   * @returns {Promise<DictationFailed | null>} the failure, if that is why */
  async #visit() {
    const servers = this.#servers;
    for (;;) {
      const failure = await this.#talk();
      if (this.isOver) return null;
      this.trouble = failure;
      if (!(failure instanceof ServerUnreachable) && failure.code !== 'connection_closed') {
        servers.drop();
      }
      const pause = servers.pause();
      if (pause === null) return failure;
      if (servers.wasReached) this.#emit('trouble', failure);
      await this.#rest(pause);
      if (this.isOver) return null;
    }
  }

  /** @param {number} seconds */
  async #rest(seconds) {
    const until = now() + seconds;
    while (!this.isOver && now() < until) {
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let timer;
      const timeout = new Promise((resolve) => {
        timer = setTimeout(resolve, Math.max(1, (until - now()) * 1000));
      });
      await Promise.race([timeout, this.#changed()]);
      clearTimeout(timer);
    }
  }

  /** One connection, until it is lost or the dictation over.
   * @returns {Promise<DictationFailed>} why it ended; of no account when the dictation is over */
  async #talk() {
    const url = this.#servers.current;
    const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
    if (!Socket) {
      return new DictationFailed(
        'configuration_error',
        'this Node has no WebSocket: run it with --experimental-websocket, or pass one as an option',
      );
    }
    let socket;
    try {
      socket = await openSocket(url, this.#options.apiKey ?? '', this.#timing.connect, Socket);
    } catch (error) {
      if (error instanceof DictationFailed) return error;
      throw error;
    }
    this.#servers.wasReached = true;
    if (this.isOver) {
      socket.close(NORMAL_CLOSURE);
      return new DictationFailed('left', 'the dictation was left');
    }
    const opening = { type: this.#opensWith, ...this.#start };
    const connection = new Connection(socket, opening, this.#timing, {
      capture: this.#capture,
      stop: () => this.#stop,
      requests: () => this.#requests,
      hear: (message) => this.#hear(message, url),
    });
    this.#connection = connection;
    const reason = await connection.closed;
    this.#connection = null;
    return reason;
  }

  /** Acts upon a message.
   * @param {any} message
   * @param {string} url
   * @returns {DictationFailed | null | undefined} why nothing more is to be had of this connection;
   *   null: because it is done */
  #hear(message, url) {
    switch (message.type) {
      case 'started':
      case 'resumed':
        if (this.control && message.ackSeq < 0 && this.#capture.acknowledged) {
          this.#segments.clear();
          this.#emit('restarted', message);
        }
        this.control = message.control ?? 1;
        this.#opensWith = 'resume';
        this.trouble = null;
        this.#emit('connected', { url });
        return this.#position(message);
      case 'ack':
        if (this.#capture.acknowledge(message.ackSeq)) this.#servers.gotOn();
        this.#tell();
        return undefined;
      case 'partial':
        this.#servers.gotOn();
        this.#emit('partial', { committed: '', tentative: message.partial, ...message });
        return undefined;
      case 'flushed':
      case 'marked':
        this.#answer(message);
        return undefined;
      case 'final':
        return this.#take(message);
      case 'done':
        this.isOver = true;
        return null;
      case 'error':
        if (message.code === 'too_many_sessions' && this.control) {
          this.#servers.moveOn(); // the session is held, and there may be a place for it later
          return new DictationFailed('connection_closed', message.error);
        }
        return new DictationFailed(message.code, message.error);
      case 'stopExpired': {
        const what = `the server cannot answer the stop: ${message.reason}`;
        if (!this.#startAnew()) return new DictationFailed(message.reason, what);
        this.#servers.moveOn();
        return new DictationFailed('connection_closed', what);
      }
      case 'segment':
        if (this.#segments.has(message.id)) return undefined; // a resumed session tells all again
        this.#segments.add(message.id);
        this.#servers.gotOn();
        this.#emit('segment', message);
        return undefined;
      case 'speech':
      case 'rejected':
        this.#servers.gotOn();
        this.#emit(message.type, message);
        return undefined;
      default:
        return undefined; // a later server may say more
    }
  }

  /** Where the audio goes on.
   * @param {any} message */
  #position(message) {
    if (this.#capture.rewind(message.ackSeq)) {
      this.#connection?.sendFrom(message.ackSeq + 1);
      return undefined;
    }
    const what = `the server has lost the session, and of the audio only what follows frame ${
      this.#capture.firstKept} is kept`;
    return new DictationFailed('session_not_held', what);
  }

  /** A final, which may be a guess.
   * @param {any} message */
  #take(message) {
    const captured = this.#stop?.finalCapturedSeq ?? 0;
    const covered = this.control < 2 || message.recognizedThroughSeq >= captured;
    this.#final = { ...message, covered, viaBatch: false };
    if (covered) {
      this.isOver = true; // `done` follows, but nothing depends on it
      return null;
    }
    const what = 'the text may lack some of the audio';
    return new DictationFailed(this.#startAnew() ? 'connection_closed' : 'not_covered', what);
  }

  /** @param {any} message */
  #answer(message) {
    this.#servers.gotOn();
    const index = this.#requests.findIndex(
      ({ type, id }) => type === message.type && id === message.id,
    );
    if (index >= 0) this.#requests.splice(index, 1)[0]?.resolve(message);
  }

  /** Has all audio sent again, in a new session under the same id, if that is possible. */
  #startAnew() {
    if (!this.#attemptsLeft || this.#capture.firstKept) return false;
    this.#attemptsLeft -= 1;
    this.#opensWith = 'start';
    this.#servers.gotOn();
    return true;
  }

  /** Posts the recording, once all of it is there. */
  async #save() {
    while (!this.#stop && !this.#capture.isFull && !this.isOver) await this.#changed();
    if (!this.#stop || this.#capture.firstKept || this.isOver) return;
    const { language = '', context = '', apiKey = '' } = this.#options;
    const recording = { pieces: this.#capture.pieces, language, context, apiKey };
    const { stopId, finalCapturedSeq } = this.#stop;
    try {
      const text = await transcribeSomewhere(
        this.#urls, recording, this.#timing, this.#leaving.signal,
      );
      this.#final = {
        sessionId: this.sessionId,
        stopId,
        text,
        recognizedThroughSeq: finalCapturedSeq,
        covered: true,
        viaBatch: true,
      };
    } catch (error) {
      if (!(error instanceof DictationFailed)) throw error;
      this.trouble = error;
    }
  }

  /** @param {string} type
   * @param {unknown} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** What a connection sends and whom it tells. */
/** @typedef {{capture: Capture, stop: () => object | null, requests: () => Request[],
 *   hear: (message: any) => DictationFailed | null | undefined}} Talk */

/** One connection: sends what was captured from a place on, passes on what it hears. */
class Connection {
  /** @type {Promise<DictationFailed>} resolved when it is over, with why */
  closed;
  #socket;
  #talk;
  #timing;
  #isClosed = false;
  /** @type {(reason: DictationFailed) => void} */
  #end = () => {};
  /** @type {number | null} the next frame to send; null before the server said where to begin */
  #next = null;
  /** @type {Set<Request>} */
  #asked = new Set();
  #hasStopped = false;
  /** Since when nothing was heard of a server that owes an answer. */
  #owedSince = 0;
  #hasProbed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #drain;
  /** @type {ReturnType<typeof setInterval>} */
  #watch;

  /**
   * @param {WebSocket} socket an open one
   * @param {object} opening
   * @param {import('./servers.js').Timing} timing
   * @param {Talk} talk
   */
  constructor(socket, opening, timing, talk) {
    this.#socket = socket;
    this.#talk = talk;
    this.#timing = timing;
    this.closed = new Promise((resolve) => {
      this.#end = resolve;
    });
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code }) =>
      this.close(new DictationFailed('connection_closed', `the server closed, code ${code}`));
    this.#owedSince = now();
    this.#watch = setInterval(() => this.#look(), Math.min(timing.probe, timing.stall) * 250);
    socket.send(JSON.stringify(opening));
  }

  /** @param {number} sequence the first frame that the server lacks */
  sendFrom(sequence) {
    this.#next = sequence;
    this.pump();
  }

  /** Sends what there is to send, as far as the socket takes it. */
  pump() {
    const { capture } = this.#talk;
    clearTimeout(this.#drain);
    while (this.#next !== null && !this.#isClosed) {
      if (this.#socket.bufferedAmount >= HIGH_WATER) {
        this.#drain = setTimeout(() => this.pump(), DRAIN_SEC * 1000);
        return;
      }
      const request = this.#due(this.#next);
      const stop = this.#talk.stop();
      if (request) {
        this.#asked.add(request);
        this.#send(JSON.stringify(request.message));
      } else if (this.#next < capture.nFrames) {
        this.#send(encodeFrame(this.#next, capture.payload(this.#next)));
        this.#next += 1;
      } else if (stop && !this.#hasStopped) {
        this.#hasStopped = true;
        this.#send(JSON.stringify({ type: 'stop', protocol: PROTOCOL, ...stop }));
      } else return;
    }
  }

  /** @param {DictationFailed | null} reason null: the dictation is over */
  close(reason) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#drain);
    clearInterval(this.#watch);
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.onerror = () => {};
    this.#socket.close(NORMAL_CLOSURE);
    this.#end(reason ?? new DictationFailed('left', 'the dictation is over'));
  }

  /** @param {number} position
   * @returns {Request | undefined} what was asked before the frame at this position was captured */
  #due(position) {
    return this.#talk
      .requests()
      .find((request) => request.after <= position && !this.#asked.has(request));
  }

  /** @param {string | Uint8Array<ArrayBuffer>} message */
  #send(message) {
    if (!this.#owes()) this.#heard();
    this.#socket.send(message);
  }

  /** Whether the server has something to answer. */
  #owes() {
    const { capture } = this.#talk;
    return (
      this.#next === null ||
      this.#hasStopped ||
      this.#asked.size > 0 ||
      capture.acknowledged < this.#next
    );
  }

  #heard() {
    this.#owedSince = now();
    this.#hasProbed = false;
  }

  /** @param {unknown} data */
  #hear(data) {
    this.#heard();
    const message = parseServer(data);
    if (message instanceof DictationFailed) return this.close(message);
    if (message.type === 'flushed' || message.type === 'marked') {
      for (const request of this.#asked) {
        if (request.type === message.type && request.id === message.id) this.#asked.delete(request);
      }
    }
    const reason = this.#talk.hear(message);
    if (reason !== undefined) this.close(reason);
  }

  /** Browsers have no pings: a server that is silent is sent a frame that it holds, without its
   * audio, which it has to acknowledge again. */
  #look() {
    const silent = now() - this.#owedSince;
    if (!this.#owes()) return;
    if (silent >= this.#timing.probe + this.#timing.stall) {
      this.close(new DictationFailed('connection_closed', 'the server does not answer any more'));
    } else if (silent >= this.#timing.probe && !this.#hasProbed) {
      this.#hasProbed = true;
      if (this.#talk.capture.acknowledged) this.#socket.send(encodeFrame(0, new Uint8Array(0)));
    }
  }
}

/** @param {Options} options
 * @returns {Record<string, unknown>} the fields of `start` and `resume` */
function startOf(options) {
  return {
    protocol: PROTOCOL,
    sessionId: options.sessionId ?? newId(),
    control: options.control ?? CONTROL,
    sampleRate: 16_000,
    channels: 1,
    encoding: 'pcm16',
    // what is undefined is not sent
    language: options.language || undefined,
    context: options.context || undefined,
    timestamps: options.wordTimes ? 'word' : undefined,
    speakerFilter: options.speakerFilter,
    endpointing: options.endpointing,
  };
}

/** @param {Uint8Array | Int16Array | ArrayBuffer} pcm16
 * @returns {Uint8Array} */
function bytesOf(pcm16) {
  if (pcm16 instanceof ArrayBuffer) return new Uint8Array(pcm16);
  return new Uint8Array(pcm16.buffer, pcm16.byteOffset, pcm16.byteLength);
}

/** @returns {string} an id that nobody else has; `crypto.randomUUID` is for secure pages only */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
