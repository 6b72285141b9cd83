/** A browser's microphone, as PCM16 at 16 kHz. */

import { Resampler, toPcm16 } from './resampler.js';

/**
 * @typedef {object} Microphone
 * @property {() => Promise<void>} stop lets go of the microphone, after the last audio was given
 */

/**
 * Asks for the microphone and gives its audio until stopped. Rejects as `getUserMedia` does:
 * `NotAllowedError`, `NotFoundError`; and with `InsecureContextError` where the browser gives no
 * microphone to the page at all.
 *
 * @param {(pcm16: Uint8Array<ArrayBuffer>) => void} onAudio some 20 ms each time
 * @param {{onLevel?: (level: number) => void, onEnd?: () => void}} [more] `onLevel`: the loudest
 *   sample, 0 to 1; `onEnd`: the microphone was unplugged or taken away
 * @returns {Promise<Microphone>}
 */
export async function openMicrophone(onAudio, { onLevel, onEnd } = {}) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new DOMException(
      'a browser gives the microphone only to pages of this machine and over HTTPS',
      'InsecureContextError',
    );
  }
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false },
  });
  const context = new AudioContext();
  const release = async () => {
    for (const track of stream.getTracks()) track.stop();
    if (context.state !== 'closed') await context.close();
  };
  try {
    await context.audioWorklet.addModule(new URL('./worklet.js', import.meta.url));
    await context.resume();
  } catch (error) {
    await release();
    throw error;
  }
  const resampler = new Resampler(context.sampleRate);
  const tap = new AudioWorkletNode(context, 'polyasr-tap', { numberOfOutputs: 0 });
  const drained = new Promise((resolve) => {
    tap.port.onmessage = ({ data }) => {
      if (data === null) return resolve(undefined);
      onLevel?.(data.reduce((/** @type {number} */ top, /** @type {number} */ sample) =>
        Math.max(top, Math.abs(sample)), 0));
      onAudio(toPcm16(resampler.push(data)));
    };
  });
  context.createMediaStreamSource(stream).connect(tap);
  for (const track of stream.getTracks()) track.addEventListener('ended', () => onEnd?.());
  return {
    async stop() {
      tap.port.postMessage('stop');
      await drained;
      onAudio(toPcm16(resampler.finish()));
      await release();
    },
  };
}
