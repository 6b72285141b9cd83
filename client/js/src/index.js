/** Dictation with a polyasr server: for browsers, and for Node 20 or later. */

export { Dictation } from './dictation.js';
export { DictationFailed, ServerUnreachable } from './errors.js';
export { openMicrophone } from './microphone.js';
export { Resampler, SAMPLE_RATE, toPcm16 } from './resampler.js';
