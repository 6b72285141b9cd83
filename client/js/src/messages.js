/** What a server says: JSON objects with a `type`. */

import { DictationFailed } from './errors.js';

/** The fields that this client relies on, by type of message. @type {Record<string, object>} */
const REQUIRED = {
  started: { ackSeq: 0 },
  resumed: { ackSeq: 0 },
  ack: { ackSeq: 0 },
  partial: { partial: '' },
  final: { stopId: '', text: '' },
  stopExpired: { reason: '' },
  error: { error: '', code: '' },
};

/**
 * @param {unknown} data
 * @returns {any} the message, or a DictationFailed when it cannot be one
 */
export function parseServer(data) {
  let message;
  try {
    message = JSON.parse(/** @type {string} */ (data));
  } catch {
    return new DictationFailed('invalid_json', 'the server sent what is no JSON');
  }
  const fields = Object.entries(REQUIRED[message?.type] ?? {});
  const lacking = fields.find(([name, example]) => typeof message[name] !== typeof example);
  if (typeof message?.type === 'string' && !lacking) return message;
  const what = `the server sent a message without ${lacking?.[0] ?? 'a type'}`;
  return new DictationFailed('unsupported_message', what);
}
