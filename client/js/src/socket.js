/** The WebSocket beneath a dictation. */

import { DictationFailed, ServerUnreachable } from './errors.js';

/**
 * Connects. Rejects with ServerUnreachable; why, a browser does not tell.
 *
 * @param {string} url
 * @param {string} apiKey goes along as `?token=`: browsers send no other header
 * @param {number} patience seconds
 * @param {typeof WebSocket} Socket
 * @returns {Promise<WebSocket>} an open one
 */
export async function openSocket(url, apiKey, patience, Socket) {
  const address = new URL(url);
  if (apiKey) address.searchParams.set('token', apiKey);
  const socket = new Socket(address.href);
  socket.binaryType = 'arraybuffer';
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  try {
    await new Promise((resolve, reject) => {
      const unreachable = () =>
        reject(new ServerUnreachable(`no dictation server answers at ${address.host}`));
      timer = setTimeout(unreachable, patience * 1000);
      socket.onopen = resolve;
      socket.onerror = socket.onclose = unreachable;
    });
  } catch (error) {
    socket.onopen = () => socket.close();
    throw error;
  } finally {
    clearTimeout(timer);
    socket.onerror = socket.onclose = null;
  }
  return socket;
}

/**
 * @param {string | string[]} servers
 * @returns {string[]} them, when they can be addresses of dictation servers
 */
export function checkAddresses(servers) {
  const urls = typeof servers === 'string' ? [servers] : [...servers];
  for (const url of urls.length ? urls : ['']) {
    if (!/^wss?:\/\/[^/\s]/.test(url) || !URL.canParse(url)) {
      throw new DictationFailed(
        'configuration_error',
        `"${url}" is not the address of a dictation server: ` +
          'it looks like ws://127.0.0.1:8766/ws/transcribe',
      );
    }
  }
  return urls;
}
