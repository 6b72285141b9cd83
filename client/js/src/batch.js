/** The last resort: the recording of a dictation, posted to the batch endpoint of a server. */

import { BYTES_PER_SECOND } from './capture.js';
import { DictationFailed, ServerUnreachable } from './errors.js';
import { now } from './servers.js';

const DICTATION_PATH = '/ws/transcribe';
const BATCH_PATH = '/v1/audio/transcriptions';
/** How long an answer may take, in seconds, in addition to the duration of the recording. */
const ANSWER_SEC = 60;
/** Statuses that say: the same request may succeed later. */
const TRANSIENT = [408, 429, 503];
const WAV_HEADER_BYTES = 44;

/**
 * Asks the servers of these dictation addresses one after another, with patience.
 *
 * @param {string[]} urls
 * @param {Recording} recording
 * @param {import('./servers.js').Timing} timing
 * @param {AbortSignal} signal
 * @returns {Promise<string>} the text
 */
export async function transcribeSomewhere(urls, recording, timing, signal) {
  const began = now();
  let left = urls;
  let failure = new DictationFailed('no_server', 'there is no server to ask');
  for (let delay = timing.firstRetry; left.length; delay = Math.min(2 * delay, timing.lastRetry)) {
    const refusing = new Set();
    for (const url of left) {
      try {
        return await transcribeRecording(url, recording, signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof DictationFailed)) throw error;
        failure = error;
        if (!(error instanceof ServerUnreachable)) refusing.add(url);
      }
    }
    left = left.filter((url) => !refusing.has(url));
    if (now() - began >= timing.patience) break;
    await new Promise((resolve) => setTimeout(resolve, delay * 1000));
  }
  throw failure;
}

/**
 * @typedef {object} Recording
 * @property {Uint8Array<ArrayBuffer>[]} pieces PCM16 at 16 kHz
 * @property {string} language
 * @property {string} context
 * @property {string} apiKey
 */

/**
 * @param {string} url the server's dictation address
 * @param {Recording} recording
 * @param {AbortSignal} signal
 * @returns {Promise<string>} the text
 */
export async function transcribeRecording(url, recording, signal) {
  const address = new URL(url);
  if (!address.pathname.endsWith(DICTATION_PATH)) {
    throw new DictationFailed('no_batch', `${url} tells no address for recordings`);
  }
  address.protocol = address.protocol === 'wss:' ? 'https:' : 'http:';
  address.pathname = address.pathname.slice(0, -DICTATION_PATH.length) + BATCH_PATH;
  address.search = '';
  const file = wav(recording.pieces);
  const limit = AbortSignal.timeout(
    Math.ceil((ANSWER_SEC + file.size / BYTES_PER_SECOND) * 1000),
  );
  let answer, body;
  try {
    answer = await fetch(address, {
      method: 'POST',
      body: form(recording, file),
      headers: recording.apiKey ? { Authorization: `Bearer ${recording.apiKey}` } : {},
      signal: either(signal, limit),
    });
    body = await answer.text();
  } catch (error) {
    throw new ServerUnreachable(`${address.host} did not transcribe the recording: ${error}`);
  }
  return read(address.host, answer.status, body);
}

/**
 * @param {Uint8Array<ArrayBuffer>[]} pieces PCM16 at 16 kHz
 * @returns {Blob} a WAV file
 */
export function wav(pieces) {
  const nBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return new Blob([wavHeader(nBytes), ...pieces], { type: 'audio/wav' });
}

/**
 * @param {Recording} recording
 * @param {Blob} file
 */
function form(recording, file) {
  const data = new FormData();
  data.set('file', file, 'dictation.wav');
  data.set('model', 'polyasr');
  data.set('response_format', 'json');
  if (recording.language) data.set('language', recording.language);
  if (recording.context) data.set('prompt', recording.context);
  return data;
}

/** @param {number} nBytes of PCM16 at 16 kHz, mono */
function wavHeader(nBytes) {
  const view = new DataView(new ArrayBuffer(WAV_HEADER_BYTES));
  view.setUint32(0, 0x52494646); // RIFF
  view.setUint32(4, WAV_HEADER_BYTES - 8 + nBytes, true);
  view.setUint32(8, 0x57415645); // WAVE
  view.setUint32(12, 0x666d7420); // "fmt "
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // mono
  view.setUint32(24, BYTES_PER_SECOND / 2, true);
  view.setUint32(28, BYTES_PER_SECOND, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  view.setUint32(36, 0x64617461); // data
  view.setUint32(40, nBytes, true);
  return view.buffer;
}

/**
 * @param {AbortSignal} one
 * @param {AbortSignal} other
 */
function either(one, other) {
  const both = new AbortController();
  for (const signal of [one, other]) {
    if (signal.aborted) both.abort(signal.reason);
    signal.addEventListener('abort', () => both.abort(signal.reason), { once: true });
  }
  return both.signal;
}

/**
 * @param {string} host
 * @param {number} status
 * @param {string} body
 * @returns {string} the text of an answer
 */
function read(host, status, body) {
  let message = `${host} answers a recording with HTTP status ${status}`;
  let code = 'no_text';
  try {
    const answer = JSON.parse(body);
    if (status === 200 && typeof answer.text === 'string') return answer.text;
    message = String(answer.error.message);
    code = String(answer.error.code);
  } catch {
    // what is no JSON, or lacks these, says nothing that could be told
  }
  throw TRANSIENT.includes(status) ? new ServerUnreachable(message) : new DictationFailed(code, message);
}
