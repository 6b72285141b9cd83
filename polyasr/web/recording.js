/** A file that was opened or dropped, as PCM16 at 16 kHz. */

import { SAMPLE_RATE, toPcm16 } from './client/index.js';

/** Decodes what this browser can decode. Rejects with `UnreadableRecording`.
 * @param {File} file
 * @returns {Promise<Uint8Array<ArrayBuffer>>} PCM16, mono */
export async function readRecording(file) {
  const context = new OfflineAudioContext(1, 1, SAMPLE_RATE); // decodes to its own rate
  let audio;
  try {
    audio = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new DOMException(file.name, 'UnreadableRecording');
  }
  const mono = new Float32Array(audio.length);
  for (let channel = 0; channel < audio.numberOfChannels; channel += 1) {
    audio.getChannelData(channel).forEach((sample, index) => {
      mono[index] = /** @type {number} */ (mono[index]) + sample / audio.numberOfChannels;
    });
  }
  return toPcm16(mono);
}
