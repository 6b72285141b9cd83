// With a server, at POLYASR_URL; the audio is the file POLYASR_PCM, raw PCM16 at 16 kHz, mono.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { Dictation } from '../src/index.js';

const { POLYASR_URL, POLYASR_PCM } = process.env;
const needed = { skip: !POLYASR_URL && 'there is no server at POLYASR_URL' };
const words = (text) => text.toLowerCase().match(/[\w']+/g);

test('control 3: committed text only grows, flush and mark are answered in order', needed, async () => {
  const pcm16 = readFileSync(POLYASR_PCM);
  const half = 40 * 3200;
  const dictation = new Dictation({ servers: POLYASR_URL });
  const segments = [];
  let committed = '';
  dictation.addEventListener('partial', ({ detail }) => {
    assert.ok(detail.committed.startsWith(committed), `${committed} became ${detail.committed}`);
    assert.equal(detail.committed + detail.tentative, detail.partial);
    committed = detail.committed;
  });
  dictation.addEventListener('segment', ({ detail }) => segments.push(detail));

  await dictation.send(pcm16.subarray(0, half));
  const marked = dictation.mark('here');
  const flushed = dictation.flush();
  assert.equal((await marked).recognizedThroughSeq, 40);
  await flushed;
  assert.equal(dictation.control, 3);
  assert.equal(segments.length, 1);
  await dictation.send(pcm16.subarray(half));
  const late = dictation.stop();
  await assert.rejects(dictation.mark(), { code: 'left' });
  const final = await late;
  assert.ok(final.covered);
  assert.ok(final.text.startsWith(committed));
  assert.deepEqual(words(final.text), words(segments.map(({ text }) => text).join(' ')));
  assert.deepEqual(segments.map(({ id }) => id), segments.map((_, index) => index));
});

test('a dictation that is left rejects, and so does what was asked of it', needed, async () => {
  const dictation = new Dictation({ servers: POLYASR_URL });
  const marked = dictation.mark();
  dictation.close();
  await assert.rejects(marked);
  await assert.rejects(dictation.result, { code: 'left' });
});
