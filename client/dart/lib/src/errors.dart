/// A dictation came to nothing.
///
/// [code] is the protocol's word for why, or one of this client's: `server_unreachable`,
/// `connection_closed`, `not_covered`, `configuration_error`, `left`.
class DictationFailed implements Exception {
  const DictationFailed(this.code, this.message);

  final String code;

  /// For a person.
  final String message;

  @override
  String toString() => 'DictationFailed ($code): $message';
}

/// No dictation server answers at the address just now.
class ServerUnreachable extends DictationFailed {
  const ServerUnreachable(String message) : super('server_unreachable', message);
}
