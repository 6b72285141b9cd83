/** Runs on the browser's audio thread: passes on what the microphone gives, mixed to mono. */

const BLOCK = 1024;

// @ts-ignore -- the types of the audio thread are in no library of TypeScript's
registerProcessor(
  'polyasr-tap',
  // @ts-ignore
  class extends AudioWorkletProcessor {
    block = new Float32Array(BLOCK);
    filled = 0;
    isOver = false;

    constructor() {
      super();
      // @ts-ignore
      this.port.onmessage = () => {
        this.isOver = true;
        this.pass();
        // @ts-ignore
        this.port.postMessage(null);
      };
    }

    /** @param {Float32Array[][]} inputs */
    process([channels = []]) {
      const [first] = channels;
      for (let i = 0; first && i < first.length; i += 1) {
        let sum = 0;
        for (const channel of channels) sum += channel[i] ?? 0;
        this.block[this.filled] = sum / channels.length;
        this.filled += 1;
        if (this.filled === BLOCK) this.pass();
      }
      return !this.isOver;
    }

    pass() {
      // @ts-ignore
      this.port.postMessage(this.block.slice(0, this.filled));
      this.filled = 0;
    }
  },
);
