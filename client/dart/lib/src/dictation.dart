import 'dart:async';
import 'dart:math';
import 'dart:typed_data';

import 'package:http/http.dart' as http;
import 'package:web_socket_channel/web_socket_channel.dart';

import 'batch.dart';
import 'capture.dart';
import 'connection.dart';
import 'errors.dart';
import 'events.dart';
import 'messages.dart';
import 'servers.dart';

const _protocol = 1;

/// The highest control level that this client knows.
const _highestControl = 3;

/// How often all audio is sent for a final that covers it.
const _attempts = 2;
const _left = DictationFailed('left', 'the dictation is over');

/// One dictation, over as many connections and servers as it takes.
///
/// A connection that is lost is opened again and the session resumed; a server that reports an
/// error or stays away is given up for the next; when none is left, the recording is posted to
/// their batch endpoints once the dictation is stopped. [result] fails with a [DictationFailed]
/// when all of that was in vain, and at once when no session was ever begun. A final that does not
/// cover all the audio comes only after all of it was sent twice.
class Dictation {
  /// Connects at once. [servers] look like `ws://host:8766/ws/transcribe`; of several, the next
  /// takes over from one that fails. [wordTimes], [speakerFilter] and [endpointing] are of
  /// control 3. With [batch] the recording is posted where no dictation is possible. Throws
  /// [DictationFailed] for an address that cannot be one.
  Dictation({
    required List<String> servers,
    this.language = '',
    this.context = '',
    this.apiKey = '',
    this.batch = true,
    this.timing = const Timing(),
    int control = _highestControl,
    bool wordTimes = false,
    bool? speakerFilter,
    bool? endpointing,
    String? sessionId,
    int keptBytes = keptBytesByDefault,
  })  : sessionId = sessionId ?? _newId(),
        _addresses = _checked(servers),
        _capture = Capture(keptBytes) {
    _servers = Servers(_addresses, timing);
    _attemptsLeft = max(_attempts, _addresses.length) - 1;
    _start = {
      'protocol': _protocol,
      'sessionId': this.sessionId,
      'control': control,
      'sampleRate': 16000,
      'channels': 1,
      'encoding': 'pcm16',
      if (language.isNotEmpty) 'language': language,
      if (context.isNotEmpty) 'context': context,
      if (wordTimes) 'timestamps': 'word',
      if (speakerFilter != null) 'speakerFilter': speakerFilter,
      if (endpointing != null) 'endpointing': endpointing,
    };
    result = _run()..ignore(); // told to whoever asks for it
  }

  final String language;
  final String context;
  final String apiKey;
  final bool batch;
  final Timing timing;
  final String sessionId;

  /// The text of the whole dictation.
  late final Future<FinalText> result;

  /// Why no server listens just now; null while one does.
  DictationFailed? trouble;

  final List<Uri> _addresses;
  final Capture _capture;
  final StreamController<DictationEvent> _events = StreamController<DictationEvent>.broadcast();
  final List<Request> _requests = [];
  final Set<int> _segments = {};
  final http.Client _http = http.Client();
  late final Servers _servers;
  late final Message _start;
  late int _attemptsLeft;
  late final Talk _talkOfConnections = _Talk(this);
  Completer<void> _change = Completer<void>();
  Connection? _connection;
  Message? _stop;
  FinalText? _final;
  String _opensWith = 'start';
  String _listening = '';
  int _control = 0;
  int _nRequests = 0;
  bool _isOver = false;
  bool _hasLeft = false;

  /// What happens, from when it is listened to. It ends with the dictation.
  Stream<DictationEvent> get events => _events.stream;

  bool get isOver => _isOver;

  /// What the server granted; 0 before the session has begun.
  int get control => _control;

  /// Frames so far.
  int get capturedFrames => _capture.nFrames;

  /// Sends audio, PCM16 at 16 kHz, mono, in pieces of any size. It is taken at once; the future
  /// waits only while more of it than is kept has not been acknowledged.
  Future<void> send(Uint8List pcm16) async {
    if (_isOver || _stop != null) return;
    _capture.add(pcm16);
    _tell();
    while (_capture.isFull && !_isOver) {
      await _change.future;
    }
  }

  /// Ends the utterance.
  Future<FinalText> stop([String? stopId]) {
    if (_stop == null && !_isOver) {
      _capture.finish();
      _stop = {
        'type': 'stop',
        'protocol': _protocol,
        'stopId': stopId ?? _newId(),
        'finalCapturedSeq': _capture.nFrames,
      };
      _tell();
    }
    return result;
  }

  /// Has what was sent so far sealed into segments (control 3). Completes when it is.
  Future<void> flush() => _ask('flush', 'flushed');

  /// Completes when all audio sent so far has been decoded, with the frames below which it has
  /// (control 3); null when the server does not say.
  Future<int?> mark() async {
    final marked = await _ask('mark', 'marked');
    final covered = marked['recognizedThroughSeq'];
    return covered is int ? covered : null;
  }

  /// Leaves without a result.
  void close() {
    if (_isOver) return;
    _isOver = _hasLeft = true;
    _connection?.close(_left);
    _http.close();
    _tell();
  }

  Future<Message> _ask(String type, String answer) {
    if (_stop != null || _isOver) return Future.error(_left);
    _capture.finish();
    _nRequests += 1;
    final message = {'type': type, 'id': '$type-$_nRequests'};
    final request = Request(message, answer, _capture.nFrames);
    request.completer.future.ignore(); // told to whoever asks for it
    _requests.add(request);
    _tell();
    return request.completer.future;
  }

  /// Something has changed.
  void _tell() {
    _connection?.pump();
    final told = _change;
    _change = Completer<void>();
    told.complete();
  }

  Future<FinalText> _run() async {
    await null; // the constructor comes to its end first
    DictationFailed? failure;
    try {
      failure = await _visit();
      if (failure != null && _control > 0 && batch && !_isOver) await _save();
      if (_hasLeft) throw _left;
      final text = _final;
      if (text == null) {
        throw failure ?? const DictationFailed('no_final', 'the server was done without a final');
      }
      _events.add(text);
      return text;
    } finally {
      _isOver = true;
      _connection = null;
      for (final request in _requests) {
        request.completer.completeError(failure ?? _left);
      }
      _http.close();
      _tell();
      unawaited(_events.close());
    }
  }

  /// Connects again and again until it is over. Returns the failure, if that is why.
  Future<DictationFailed?> _visit() async {
    while (true) {
      final failure = await _talk();
      if (_isOver) return null;
      trouble = failure;
      if (failure is! ServerUnreachable && failure.code != connectionClosed) _servers.drop();
      final pause = _servers.pause();
      if (pause == null) return failure;
      if (_servers.wasReached) _events.add(Trouble(failure));
      await _rest(pause);
      if (_isOver) return null;
    }
  }

  Future<void> _rest(double pause) async {
    final until = now() + pause;
    final timer = Timer(seconds(pause), _tell);
    while (!_isOver && timer.isActive && now() < until) {
      await _change.future;
    }
    timer.cancel();
  }

  /// One connection, until it is lost or the dictation over. Returns why it ended, which is of no
  /// account when the dictation is over.
  Future<DictationFailed> _talk() async {
    final address = _servers.current;
    final WebSocketChannel channel;
    try {
      channel = await openChannel(address, apiKey, timing.connect);
    } on DictationFailed catch (error) {
      return error;
    }
    _servers.wasReached = true;
    if (_isOver) {
      channel.sink.close().ignore();
      return _left;
    }
    _listening = '$address';
    final opening = {'type': _opensWith, ..._start};
    final connection = Connection(channel, opening, timing, _talkOfConnections);
    _connection = connection;
    final reason = await connection.closed;
    _connection = null;
    return reason;
  }

  /// Acts upon a message. Throws [DictationFailed] when nothing more is to be had of this
  /// connection; when the dictation is over, whatever it is.
  void _hear(Message message) {
    switch (message['type']) {
      case 'started' || 'resumed':
        _begin(message);
      case 'ack':
        if (_capture.acknowledge(message['ackSeq']! as int)) _servers.gotOn();
        _tell();
      case 'partial':
        _servers.gotOn();
        _events.add(partialOf(message));
      case 'segment':
        _servers.gotOn();
        final segment = segmentOf(message);
        if (_segments.add(segment.id)) _events.add(segment); // a resumed session tells all again
      case 'speech':
        _servers.gotOn();
        _events.add(speechOf(message));
      case 'rejected':
        _servers.gotOn();
        _events.add(rejectedOf(message));
      case 'flushed' || 'marked':
        _answer(message);
      case 'final':
        _take(message);
      case 'done':
        _isOver = true;
        throw _left;
      case 'error':
        _fail(message['code']! as String, message['error']! as String);
      case 'stopExpired':
        _expire(message['reason']! as String);
      default: // a later server may say more
    }
  }

  void _begin(Message message) {
    final ackSeq = message['ackSeq']! as int;
    if (_control > 0 && ackSeq < 0 && _capture.acknowledged > 0) {
      _segments.clear();
      _events.add(const Restarted());
    }
    final granted = message['control'];
    _control = granted is int ? granted : 1;
    _opensWith = 'resume';
    trouble = null;
    _events.add(Connected(_listening));
    if (!_capture.rewind(ackSeq)) {
      throw DictationFailed(
        'session_not_held',
        'the server has lost the session, and the first ${_capture.firstKept} frames are not '
            'kept any more',
      );
    }
    _connection?.sendFrom(ackSeq + 1);
  }

  void _answer(Message message) {
    _servers.gotOn();
    final index = _requests.indexWhere((request) => request.isAnsweredBy(message));
    if (index >= 0) _requests.removeAt(index).completer.complete(message);
  }

  /// A final, which may be a guess.
  void _take(Message message) {
    final captured = _stop?['finalCapturedSeq'];
    final told = message['recognizedThroughSeq'];
    final through = told is int ? told : null;
    final covered =
        _control < 2 || (through != null && through >= (captured is int ? captured : 0));
    _final = FinalText(
      sessionId: sessionId,
      stopId: message['stopId']! as String,
      text: message['text']! as String,
      covered: covered,
      viaBatch: false,
      recognizedThroughSeq: through,
    );
    if (covered) {
      _isOver = true; // `done` follows, but nothing depends on it
      throw _left;
    }
    throw DictationFailed(
      _startAnew() ? connectionClosed : 'not_covered',
      'the text may lack some of the audio',
    );
  }

  Never _fail(String code, String error) {
    if (code == 'too_many_sessions' && _control > 0) {
      _servers.moveOn(); // the session is held, and there may be a place for it later
      throw DictationFailed(connectionClosed, error);
    }
    throw DictationFailed(code, error);
  }

  Never _expire(String reason) {
    final told = 'the server cannot answer the stop: $reason';
    if (!_startAnew()) throw DictationFailed(reason, told);
    _servers.moveOn();
    throw DictationFailed(connectionClosed, told);
  }

  /// Has all audio sent again, in a new session under the same id, if that is possible.
  bool _startAnew() {
    if (_attemptsLeft == 0 || _capture.firstKept > 0) return false;
    _attemptsLeft -= 1;
    _opensWith = 'start';
    _servers.gotOn();
    return true;
  }

  /// Posts the recording, once all of it is there.
  Future<void> _save() async {
    while (_stop == null && !_capture.isFull && !_isOver) {
      await _change.future;
    }
    final stop = _stop;
    if (stop == null || _capture.firstKept > 0 || _isOver) return;
    final recording =
        Recording(_capture.audio(), language: language, context: context, apiKey: apiKey);
    try {
      final text = await transcribeSomewhere(
        _addresses,
        recording,
        timing,
        _http,
        () => _isOver,
      );
      _final = FinalText(
        sessionId: sessionId,
        stopId: stop['stopId']! as String,
        text: text,
        covered: true,
        viaBatch: true,
        recognizedThroughSeq: stop['finalCapturedSeq']! as int,
      );
    } on DictationFailed catch (error) {
      trouble = error;
    }
  }
}

/// What connections may know of a dictation; a class of its own, so that it is no part of the API.
class _Talk implements Talk {
  _Talk(this._dictation);

  final Dictation _dictation;

  @override
  Capture get capture => _dictation._capture;

  @override
  Message? get stopMessage => _dictation._stop;

  @override
  Iterable<Request> get requests => _dictation._requests;

  @override
  void hear(Message message) => _dictation._hear(message);
}

List<Uri> _checked(List<String> servers) {
  final addresses = <Uri>[];
  for (final server in servers.isEmpty ? [''] : servers) {
    final address = Uri.tryParse(server);
    if (address == null || !{'ws', 'wss'}.contains(address.scheme) || address.host.isEmpty) {
      throw DictationFailed(
        'configuration_error',
        '"$server" is not the address of a dictation server: '
            'it looks like ws://127.0.0.1:8766/ws/transcribe',
      );
    }
    addresses.add(address);
  }
  return addresses;
}

/// An id that nobody else has.
String _newId() {
  final random = Random.secure();
  return [
    for (var i = 0; i < 16; i += 1) random.nextInt(256).toRadixString(16).padLeft(2, '0'),
  ].join();
}
