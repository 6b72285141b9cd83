import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Capture, FRAME_BYTES } from '../src/capture.js';
import { encodeFrame } from '../src/frames.js';
import { parseServer } from '../src/messages.js';

const bytes = (n, from = 0) => Uint8Array.from({ length: n }, (_, i) => (from + i) % 251);

test('audio in pieces of any size becomes frames of 100 ms', () => {
  const capture = new Capture();
  const audio = bytes(3 * FRAME_BYTES + 7);
  for (let at = 0, size = 1; at < audio.length; at += size, size = (size * 7) % 4001) {
    capture.add(audio.subarray(at, at + size));
  }
  assert.equal(capture.nFrames, 3);
  capture.finish();
  assert.equal(capture.nFrames, 4);
  assert.deepEqual(Buffer.concat(capture.pieces), Buffer.from(audio.subarray(0, -1)));
});

test('half a sample is no audio', () => {
  const capture = new Capture();
  capture.add(bytes(1));
  capture.finish();
  assert.equal(capture.nFrames, 0);
});

test('the audio that was given may be overwritten', () => {
  const capture = new Capture();
  const audio = bytes(FRAME_BYTES);
  capture.add(audio);
  audio.fill(0);
  assert.equal(capture.payload(0)[5], 5);
});

test('acknowledged frames go first, and only to make room', () => {
  const capture = new Capture(2 * FRAME_BYTES);
  capture.add(bytes(2 * FRAME_BYTES));
  assert.equal(capture.acknowledge(1), true);
  assert.equal(capture.acknowledge(0), false);
  assert.equal(capture.firstKept, 0);
  capture.add(bytes(2 * FRAME_BYTES));
  assert.equal(capture.firstKept, 2);
  capture.add(bytes(FRAME_BYTES));
  assert.equal(capture.isFull, true);
  assert.throws(() => capture.payload(1), RangeError);
  assert.equal(capture.rewind(0), false);
  assert.equal(capture.rewind(1), true);
});

test('a frame is as the protocol has it', () => {
  const frame = encodeFrame(2 ** 40 + 3, Uint8Array.of(1, 2));
  assert.equal(Buffer.from(frame).toString('hex'), '42415352010100000000010000000003' + '0102');
});

test('what a server may not say is told apart', () => {
  assert.equal(parseServer('{"type":"later","x":1}').type, 'later');
  assert.equal(parseServer('{"type":"ack","ackSeq":3}').ackSeq, 3);
  for (const said of ['', '{', 'null', '[]', '{"type":5}', '{"type":"ack"}', '{"type":"final"}']) {
    assert.match(parseServer(said).code, /invalid_json|unsupported_message/, said);
  }
});
