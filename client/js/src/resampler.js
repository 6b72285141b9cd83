/** Audio of any rate brought to 16 kHz, piece by piece. */

/** Hz; the only rate on the wire. */
export const SAMPLE_RATE = 16_000;
/** Zeros of the sinc on each side; with this beta, what would alias is 80 dB down. */
const ZEROS = 32;
const BETA = 8;
/** The middle of the transition band, as a part of the lower Nyquist frequency: it ends below it. */
const CUTOFF = 0.925;

/** A polyphase windowed-sinc filter (Kaiser). The pieces' borders leave no trace. */
export class Resampler {
  #up;
  #down;
  #half;
  /** @type {Float32Array[]} one filter for each place between two input samples */
  #phases;
  /** Input that is still needed. */
  #input;
  /** The index in all the input of `#input[0]`; the silence before the first is negative. */
  #first;
  #nIn = 0;
  #nOut = 0;

  /** @param {number} rate of the input, a whole number of Hz */
  constructor(rate) {
    const divisor = gcd(rate, SAMPLE_RATE);
    this.#up = SAMPLE_RATE / divisor;
    this.#down = rate / divisor;
    const cutoff = (CUTOFF * Math.min(rate, SAMPLE_RATE)) / 2 / rate; // cycles an input sample
    this.#half = Math.ceil(ZEROS / (2 * cutoff));
    this.#phases = Array.from({ length: this.#up }, (_, phase) =>
      kernel(phase / this.#up, this.#half, cutoff),
    );
    this.#input = new Float32Array(this.#half);
    this.#first = -this.#half;
  }

  /**
   * @param {Float32Array} samples
   * @returns {Float32Array} what is ready of the output
   */
  push(samples) {
    if (this.#up === this.#down) return samples;
    this.#nIn += samples.length;
    return this.#run(samples, Math.ceil(((this.#nIn - this.#half) * this.#up) / this.#down));
  }

  /** @returns {Float32Array} the rest of the output, as if silence followed */
  finish() {
    if (this.#up === this.#down) return new Float32Array(0);
    return this.#run(
      new Float32Array(this.#half + 1),
      Math.ceil((this.#nIn * this.#up) / this.#down),
    );
  }

  /**
   * @param {Float32Array} samples
   * @param {number} until the output sample to stop before
   */
  #run(samples, until) {
    const input = new Float32Array(this.#input.length + samples.length);
    input.set(this.#input);
    input.set(samples, this.#input.length);
    const output = new Float32Array(Math.max(0, until - this.#nOut));
    for (let i = 0; i < output.length; i += 1, this.#nOut += 1) {
      const position = this.#nOut * this.#down;
      const filter = /** @type {Float32Array} */ (this.#phases[position % this.#up]);
      const from = Math.floor(position / this.#up) - this.#half + 1 - this.#first;
      let sum = 0;
      filter.forEach((tap, k) => {
        sum += tap * /** @type {number} */ (input[from + k]);
      });
      output[i] = sum;
    }
    const next = Math.floor((this.#nOut * this.#down) / this.#up) - this.#half + 1;
    const drop = Math.min(input.length, Math.max(0, next - this.#first));
    this.#input = input.slice(drop);
    this.#first += drop;
    return output;
  }
}

/**
 * @param {Float32Array} samples from -1 to 1
 * @returns {Uint8Array<ArrayBuffer>} PCM16, little-endian
 */
export function toPcm16(samples) {
  const pcm16 = new DataView(new ArrayBuffer(2 * samples.length));
  samples.forEach((sample, index) => {
    const bounded = Math.max(-1, Math.min(1, sample));
    pcm16.setInt16(2 * index, Math.round(bounded * 32767), true);
  });
  return new Uint8Array(pcm16.buffer);
}

/**
 * @param {number} fraction where the output lies after an input sample
 * @param {number} half how many input samples on each side
 * @param {number} cutoff in cycles an input sample
 */
function kernel(fraction, half, cutoff) {
  const taps = new Float32Array(2 * half);
  let sum = 0;
  for (let k = 0; k < taps.length; k += 1) {
    const time = k - half + 1 - fraction;
    const angle = 2 * Math.PI * cutoff * time;
    const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
    const window = bessel(BETA * Math.sqrt(Math.max(0, 1 - (time / half) ** 2))) / bessel(BETA);
    taps[k] = sinc * window;
    sum += sinc * window;
  }
  return taps.map((tap) => tap / sum);
}

/** The modified Bessel function of the first kind, order 0.
 * @param {number} x */
function bessel(x) {
  let sum = 1;
  for (let k = 1, term = 1; term > 1e-9 * sum; k += 1) {
    term *= (x / 2 / k) ** 2;
    sum += term;
  }
  return sum;
}

/** @param {number} a
 * @param {number} b
 * @returns {number} */
function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}
