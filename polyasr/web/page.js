/** The dictation page: a button, the text that grows, and what went wrong in plain words. */

import { Dictation, DictationFailed, openMicrophone } from './client/index.js';
import { readRecording } from './recording.js';

/** What to tell a person, by the code or the name of an error. @type {Record<string, string>} */
const PLAIN = {
  NotAllowedError:
    'The browser does not let this page use the microphone. Allow it beside the address, then try again.',
  NotFoundError: 'There is no microphone on this device.',
  NotReadableError: 'The microphone is in use by another program, or cannot be opened.',
  InsecureContextError:
    'Browsers give the microphone only to pages over HTTPS and on the server’s own machine. A recording can be opened all the same.',
  UnreadableRecording:
    'This browser cannot read that file. `polyasr dictate FILE` on the command line takes any format.',
  server_unreachable: 'The server does not answer. Is “polyasr serve” still running?',
  connection_closed: 'The connection to the server was lost and could not be opened again.',
  unauthorized: 'This server asks for a key.',
  too_many_sessions: 'The server is fully taken by other dictations. Try again in a moment.',
  model_unavailable: 'The server has no speech model ready.',
  session_too_long: 'This dictation is longer than the server allows.',
};
const TROUBLE = 'The connection is lost. Go on speaking: what you say is kept and sent later.';
const KEY = 'polyasr-key';
/** 100 ms of PCM16. */
const PIECE_BYTES = 3200;

const $ = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));

/** @type {Dictation | null} */
let dictation = null;
/** @type {import('./client/microphone.js').Microphone | null} */
let microphone = null;

function takeKeyFromAddress() {
  const address = new URL(location.href);
  const key = address.searchParams.get('token');
  if (key === null) return;
  sessionStorage.setItem(KEY, key);
  address.searchParams.delete('token');
  history.replaceState(null, '', address);
}

function begin() {
  const address = new URL('ws/transcribe', document.baseURI);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  const begun = new Dictation({
    servers: address.href,
    language: $('language').value,
    context: $('context').value.trim(),
    apiKey: sessionStorage.getItem(KEY) ?? '',
  });
  begun.addEventListener('partial', (event) => {
    const { committed, tentative } = /** @type {CustomEvent} */ (event).detail;
    showLive(committed, tentative);
  });
  begun.addEventListener('trouble', () => tell(TROUBLE));
  begun.addEventListener('connected', () => tell(''));
  dictation = begun;
  tell('');
  showLive('', '');
  showButtons();
  return begun;
}

/** Waits for the final and shows it, or why there is none.
 * @param {Dictation} begun */
async function finish(begun) {
  try {
    const final = await begun.result;
    addText(final.text);
    if (!final.covered) tell('The end of this text may lack words: some audio did not arrive.');
    else if (begun.trouble === null) tell('');
  } catch (error) {
    explain(error, begun);
  } finally {
    await microphone?.stop();
    microphone = dictation = null;
    $('live').hidden = true;
    showStatus(' ');
    showButtons();
  }
}

async function record() {
  if (dictation) return stop();
  const begun = begin();
  const finished = finish(begun);
  showStatus('Waiting for the microphone …');
  try {
    const opened = await openMicrophone((pcm16) => void begun.send(pcm16), {
      onLevel: (level) => document.documentElement.style.setProperty('--level', String(level)),
      onEnd: () => void stop(),
    });
    if (begun.isOver) return await opened.stop();
    microphone = opened;
  } catch (error) {
    begun.close();
    await finished;
    return explain(error);
  }
  const since = performance.now();
  const clock = setInterval(() => showStatus(`Listening · ${minutes(performance.now() - since)}`), 250);
  showButtons();
  await finished;
  clearInterval(clock);
}

async function stop() {
  const begun = dictation;
  const opened = microphone;
  microphone = null;
  $('record').disabled = true;
  await opened?.stop();
  showButtons();
  showStatus('Finishing …');
  begun?.stop().catch(() => {}); // told by finish()
}

/** @param {File} file */
async function transcribe(file) {
  if (dictation) return;
  tell('');
  showStatus(`Reading ${file.name} …`);
  let pcm16;
  try {
    pcm16 = await readRecording(file);
  } catch (error) {
    showStatus(' ');
    return explain(error);
  }
  const begun = begin();
  const finished = finish(begun);
  showStatus(`Transcribing ${file.name}, ${minutes(pcm16.length / 32)} …`);
  for (let at = 0; at < pcm16.length && !begun.isOver; at += PIECE_BYTES) {
    await begun.send(pcm16.subarray(at, at + PIECE_BYTES));
  }
  begun.stop().catch(() => {});
  await finished;
}

/** @param {number} milliseconds */
function minutes(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** @param {string} committed
 * @param {string} tentative */
function showLive(committed, tentative) {
  $('hint').hidden = true;
  $('live').hidden = false;
  $('committed').textContent = committed;
  $('tentative').textContent = tentative;
  $('paper').scrollTop = $('paper').scrollHeight;
}

/** @param {string} text */
function addText(text) {
  const paragraph = document.createElement('p');
  paragraph.textContent = text || 'No speech was heard.';
  if (!text) paragraph.dataset.empty = '';
  $('texts').append(paragraph);
  $('paper').scrollTop = $('paper').scrollHeight;
}

/** @param {string} text */
function showStatus(text) {
  $('status').textContent = text;
}

function showButtons() {
  const isRecording = microphone !== null;
  const isEmpty = !$('texts').childElementCount;
  $('record').disabled = dictation !== null && !isRecording;
  $('record').setAttribute('aria-pressed', String(isRecording));
  $('record-text').textContent = isRecording ? 'Stop dictation' : 'Start dictation';
  $('record').title = isRecording ? 'Stop (Ctrl+Enter)' : 'Start (Ctrl+Enter)';
  $('open').disabled = $('language').disabled = $('context').disabled = dictation !== null;
  $('copy').disabled = isEmpty;
  $('clear').disabled = isEmpty || dictation !== null;
  $('hint').hidden = !isEmpty || dictation !== null;
}

/** @param {string} text "" takes the message away */
function tell(text) {
  $('problem').hidden = !text;
  $('problem-text').textContent = text;
  $('unlock').hidden = $('rescue').hidden = true;
}

/** @param {unknown} error
 * @param {Dictation} [begun] whose audio can still be saved */
function explain(error, begun) {
  const code = error instanceof DictationFailed ? error.code : /** @type {Error} */ (error).name;
  if (code === 'left') return;
  const said = /** @type {Error} */ (error).message;
  tell(PLAIN[code] ? PLAIN[code] + (code === 'model_unavailable' ? ` ${said}` : '') : `This did not work: ${said}`);
  $('unlock').hidden = code !== 'unauthorized';
  if (begun?.capturedFrames && code !== 'unauthorized') {
    URL.revokeObjectURL($('rescue').href);
    $('rescue').href = URL.createObjectURL(begun.recording());
    $('rescue').hidden = false;
  }
}

async function showServer() {
  const show = (/** @type {string} */ state, /** @type {string} */ text) => {
    $('server').dataset.state = state;
    $('server-text').textContent = text;
  };
  try {
    const health = await (await fetch('health')).json();
    const model = String(health.model ?? '').split('/').pop();
    if (health.status === 'ok') show('ok', `${model} is ready`);
    else if (health.status === 'starting') show('unknown', `${model} is loading …`);
    else show('bad', health.reasons?.[0] ?? 'the server is not well');
  } catch {
    show('bad', 'the server does not answer');
  }
}

function listen() {
  $('record').addEventListener('click', record);
  $('open').addEventListener('click', () => $('file').click());
  $('file').addEventListener('change', () => {
    const [file] = $('file').files;
    $('file').value = '';
    if (file) void transcribe(file);
  });
  $('copy').addEventListener('click', async () => {
    const texts = [...$('texts').querySelectorAll('p:not([data-empty])')];
    await copy(texts.map((paragraph) => paragraph.textContent).join('\n\n'));
    showStatus('Copied');
  });
  $('clear').addEventListener('click', () => {
    $('texts').replaceChildren();
    tell('');
    showButtons();
    $('record').focus();
  });
  $('unlock').addEventListener('submit', (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, $('key').value);
    $('key').value = '';
    tell('');
    $('record').focus();
  });
  addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === 'Enter') $('record').click();
  });
  addEventListener('dragover', (event) => {
    event.preventDefault();
    $('drop').hidden = dictation !== null;
  });
  addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) $('drop').hidden = true;
  });
  addEventListener('drop', (event) => {
    event.preventDefault();
    $('drop').hidden = true;
    const file = event.dataTransfer?.files[0];
    if (file) void transcribe(file);
  });
  addEventListener('beforeunload', (event) => {
    if (dictation) event.preventDefault();
  });
}

/** The clipboard is for secure pages only; elsewhere a selection can be copied.
 * @param {string} text */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

takeKeyFromAddress();
listen();
showButtons();
void showServer();
setInterval(showServer, 5000);
