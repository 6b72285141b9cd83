import 'dart:async';
import 'dart:convert';
import 'dart:math';
import 'dart:typed_data';

import 'package:web_socket_channel/web_socket_channel.dart';

import 'capture.dart';
import 'errors.dart';
import 'frames.dart';
import 'messages.dart';
import 'servers.dart';

/// The code of a connection that is gone, after which another is tried.
const connectionClosed = 'connection_closed';

/// Frames on their way before an acknowledgement is waited for: 25 s of audio. Sockets take
/// whatever they are given, and would hold all of a long recording.
const _window = 256;
const _normalClosure = 1000;

/// Connects to [address], where [apiKey] goes along as `?token=`: browsers send no other header.
///
/// Throws [ServerUnreachable]; why, a browser does not tell.
Future<WebSocketChannel> openChannel(Uri address, String apiKey, double patience) async {
  final query = {...address.queryParameters, if (apiKey.isNotEmpty) 'token': apiKey};
  final channel = WebSocketChannel.connect(
    query.isEmpty ? address : address.replace(queryParameters: query),
  );
  try {
    await channel.ready.timeout(seconds(patience));
  } on Exception {
    channel.sink.close().ignore();
    throw ServerUnreachable('no dictation server answers at ${address.authority}');
  }
  return channel;
}

/// A `flush` or a `mark` that is not answered.
class Request {
  Request(this.message, this.answer, this.after);

  final Message message;

  /// The type of its answer.
  final String answer;

  /// It was asked when so many frames were captured.
  final int after;

  final Completer<Message> completer = Completer<Message>();

  bool isAnsweredBy(Message message) =>
      message['type'] == answer && message['id'] == this.message['id'];
}

/// What a connection sends, and whom it tells.
abstract interface class Talk {
  Capture get capture;
  Message? get stopMessage;
  Iterable<Request> get requests;

  /// Acts upon a message. Throws [DictationFailed] when nothing more is to be had of this
  /// connection.
  void hear(Message message);
}

/// One connection: sends what was captured from a place on, passes on what it hears.
class Connection {
  Connection(this._channel, Message opening, this._timing, this._talk) {
    _subscription = _channel.stream.listen(
      _hear,
      onError: (Object error) => close(DictationFailed(connectionClosed, '$error')),
      onDone: () => close(
        DictationFailed(connectionClosed, 'the server closed, code ${_channel.closeCode}'),
      ),
    );
    final often = seconds(min(_timing.probe, _timing.stall) / 4);
    _watch = Timer.periodic(often, (_) => _look());
    _channel.sink.add(jsonEncode(opening));
  }

  final WebSocketChannel _channel;
  final Timing _timing;
  final Talk _talk;
  final Completer<DictationFailed> _closed = Completer<DictationFailed>();
  final Set<Request> _asked = {};
  late final StreamSubscription<Object?> _subscription;
  late final Timer _watch;

  /// The next frame to send; null before the server said where to begin.
  int? _next;
  bool _hasStopped = false;
  bool _hasProbed = false;

  /// Since when nothing was heard of a server that owes an answer.
  double _owedSince = now();

  /// Completes when it is over, with why.
  Future<DictationFailed> get closed => _closed.future;

  bool get isClosed => _closed.isCompleted;

  /// [sequence] is the first frame that the server lacks.
  void sendFrom(int sequence) {
    _next = sequence;
    pump();
  }

  /// Sends what there is to send, as far as the window allows.
  void pump() {
    final capture = _talk.capture;
    for (var next = _next; next != null && !isClosed; next = _next) {
      final request = _due(next);
      final stop = _talk.stopMessage;
      if (request != null) {
        _send(jsonEncode(request.message));
        _asked.add(request);
      } else if (next < capture.nFrames) {
        if (next >= capture.acknowledged + _window) return;
        _send(encodeFrame(next, capture.payload(next)));
        _next = next + 1;
      } else if (stop != null && !_hasStopped) {
        _send(jsonEncode(stop));
        _hasStopped = true;
      } else {
        return;
      }
    }
  }

  void close(DictationFailed reason) {
    if (isClosed) return;
    _watch.cancel();
    _subscription.cancel().ignore();
    _channel.sink.close(_normalClosure).ignore();
    _closed.complete(reason);
  }

  /// What was asked before the frame at [position] was captured.
  Request? _due(int position) {
    for (final request in _talk.requests) {
      if (request.after <= position && !_asked.contains(request)) return request;
    }
    return null;
  }

  void _send(Object message) {
    if (!_owes) _heard();
    _channel.sink.add(message);
  }

  /// Whether the server has something to answer.
  bool get _owes {
    final next = _next;
    return next == null ||
        _hasStopped ||
        _asked.isNotEmpty ||
        _talk.capture.acknowledged < next;
  }

  void _heard() {
    _owedSince = now();
    _hasProbed = false;
  }

  void _hear(Object? said) {
    if (isClosed) return;
    _heard();
    try {
      final message = parseServer(said);
      _asked.removeWhere((request) => request.isAnsweredBy(message));
      _talk.hear(message);
    } on DictationFailed catch (reason) {
      close(reason);
    }
  }

  /// A server that is silent is sent a frame that it holds, without its audio, which it has to
  /// acknowledge again: browsers have no pings.
  void _look() {
    if (!_owes) return;
    final silent = now() - _owedSince;
    if (silent >= _timing.probe + _timing.stall) {
      close(const DictationFailed(connectionClosed, 'the server does not answer any more'));
    } else if (silent >= _timing.probe && !_hasProbed) {
      _hasProbed = true;
      if (_talk.capture.acknowledged > 0) _channel.sink.add(encodeFrame(0, Uint8List(0)));
    }
  }
}
