#!/usr/bin/env node
// Dictates a file of raw PCM16 (16 kHz, mono) and prints each event as a line of JSON:
//   node --experimental-websocket src/cli.js URL [URL …] < speech.pcm
// Node 22 needs no flag. --paced: at the speed of speech. --timing=JSON, --options=JSON: see Options.
// @ts-nocheck -- the types of Node are in a package of their own
import { readFileSync } from 'node:fs';

import { Dictation, DictationFailed } from './index.js';

const EVENTS = [
  'connected', 'restarted', 'trouble', 'partial', 'speech', 'segment', 'rejected', 'final',
];
const FRAME_BYTES = 3200;

const flags = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const servers = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const given = (name) =>
  JSON.parse(flags.find((flag) => flag.startsWith(`--${name}=`))?.slice(name.length + 3) ?? '{}');
const pcm16 = readFileSync(0);

function print(type, detail) {
  console.log(JSON.stringify({ ...detail, type }));
}

try {
  const dictation = new Dictation({ servers, timing: given('timing'), ...given('options') });
  for (const type of EVENTS) {
    dictation.addEventListener(type, ({ detail }) =>
      print(type, detail instanceof Error ? { code: detail.code, error: detail.message } : detail),
    );
  }
  const began = performance.now();
  for (let at = 0; at < pcm16.length && !dictation.isOver; at += FRAME_BYTES) {
    const due = began + (at + FRAME_BYTES) / 32;
    if (flags.includes('--paced')) {
      await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
    }
    await dictation.send(pcm16.subarray(at, at + FRAME_BYTES));
  }
  await dictation.stop();
} catch (error) {
  if (!(error instanceof DictationFailed)) throw error;
  print('failed', { code: error.code, error: error.message });
  process.exitCode = 1;
}
process.stdout.write('', () => process.exit()); // a socket to a silent server would linger
