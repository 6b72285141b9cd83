import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Resampler, SAMPLE_RATE, toPcm16 } from '../src/resampler.js';

const RATES = [8000, 16000, 22050, 44100, 48000, 96000];

function sine(hertz, rate, seconds) {
  const n = Math.round(rate * seconds);
  return Float32Array.from({ length: n }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / rate));
}

function resample(samples, rate, size = samples.length) {
  const resampler = new Resampler(rate);
  const pieces = [];
  for (let at = 0; at < samples.length; at += size) {
    pieces.push(...resampler.push(samples.subarray(at, at + size)));
  }
  return Float32Array.from([...pieces, ...resampler.finish()]);
}

/** In dB of a full sine, without the borders. */
function level(samples) {
  const inner = samples.subarray(400, -400);
  return 10 * Math.log10((2 * inner.reduce((sum, x) => sum + x * x, 0)) / inner.length + 1e-20);
}

for (const rate of RATES) {
  test(`speech at ${rate} Hz stays as it is, in time and level`, () => {
    for (const hertz of [200, 1000, Math.min(6500, rate * 0.4)]) {
      const output = resample(sine(hertz, rate, 0.5), rate);
      assert.equal(output.length, SAMPLE_RATE / 2);
      const expected = sine(hertz, SAMPLE_RATE, 0.5);
      const error = output.map((sample, i) => sample - expected[i]);
      assert.ok(level(error) < -55, `${hertz} Hz: error ${level(error)} dB`);
    }
  });

  test(`the pieces of ${rate} Hz leave no trace`, () => {
    const samples = sine(700, rate, 0.1);
    const whole = resample(samples, rate);
    for (const size of [1, 128, 1024]) assert.deepEqual(resample(samples, rate, size), whole);
  });
}

test('what 16 kHz cannot carry is gone and does not come back as something else', () => {
  for (const rate of [44100, 48000]) {
    for (const hertz of [8100, 9000, 15000, 20000]) {
      const left = level(resample(sine(hertz, rate, 0.3), rate));
      assert.ok(left < -65, `${hertz} Hz of ${rate}: ${left} dB`);
    }
  }
});

test('samples are bounded, not wrapped', () => {
  const pcm16 = toPcm16(Float32Array.of(0, 1, -1, 2, -2, 0.5));
  assert.deepEqual([...new Int16Array(pcm16.buffer)], [0, 32767, -32767, 32767, -32767, 16384]);
});
