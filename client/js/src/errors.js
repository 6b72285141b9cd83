/** A dictation came to nothing. `code` is the protocol's word for why, or one of this client's:
 * `connection_closed`, `not_covered`, `too_much_audio`, `left`. */
export class DictationFailed extends Error {
  /**
   * @param {string} code
   * @param {string} message for a person
   */
  constructor(code, message) {
    super(message);
    this.name = 'DictationFailed';
    this.code = code;
  }
}

/** No dictation server answers at the address just now. */
export class ServerUnreachable extends DictationFailed {
  /** @param {string} message for a person */
  constructor(message) {
    super('server_unreachable', message);
    this.name = 'ServerUnreachable';
  }
}
