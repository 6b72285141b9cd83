/** Audio as it goes over the wire: a header of 16 bytes, then PCM16, little-endian, 16 kHz, mono. */

const MAGIC = 0x42415352; // "BASR"
const VERSION = 1;
const AUDIO = 1;
const HEADER_BYTES = 16;

/**
 * @param {number} sequence 0 for the first frame of a session, then one more for each
 * @param {Uint8Array} payload PCM16
 * @returns {Uint8Array<ArrayBuffer>} the frame
 */
export function encodeFrame(sequence, payload) {
  const frame = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, MAGIC);
  view.setUint8(4, VERSION);
  view.setUint8(5, AUDIO);
  view.setBigUint64(8, BigInt(sequence));
  frame.set(payload, HEADER_BYTES);
  return frame;
}
