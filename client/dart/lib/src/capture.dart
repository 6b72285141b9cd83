import 'dart:collection';
import 'dart:math';
import 'dart:typed_data';

/// PCM16 at 16 kHz, mono.
const bytesPerSecond = 32000;

/// 100 ms.
const frameBytes = bytesPerSecond ~/ 10;

/// 35 minutes. Acknowledged audio is kept too, for the case that a server loses it.
const keptBytesByDefault = 64 * 1024 * 1024;

/// The audio of a dictation: cut into frames, kept while it may be needed.
///
/// Frames are let go only to make room, the oldest first and acknowledged ones alone: an
/// acknowledgement is no promise that the server will still be there.
class Capture {
  Capture([this._keptBytes = keptBytesByDefault]);

  final int _keptBytes;
  final ListQueue<Uint8List> _frames = ListQueue<Uint8List>();

  /// What does not fill a frame yet.
  final Uint8List _rest = Uint8List(frameBytes);
  int _restBytes = 0;
  int _heldBytes = 0;
  int _acknowledged = 0;
  int _firstKept = 0;

  /// The first sequence that can still be sent.
  int get firstKept => _firstKept;

  /// Frames captured so far; the sequence of the next.
  int get nFrames => _firstKept + _frames.length;

  /// Frames that a server has acknowledged.
  int get acknowledged => _acknowledged;

  /// Whether no more may be added until something is acknowledged.
  bool get isFull => _heldBytes > _keptBytes;

  /// Adds audio, in pieces of any size; it is copied.
  void add(Uint8List pcm16) {
    for (var at = 0; at < pcm16.length;) {
      final size = min(pcm16.length - at, frameBytes - _restBytes);
      _rest.setRange(_restBytes, _restBytes + size, pcm16, at);
      _restBytes += size;
      at += size;
      if (_restBytes == frameBytes) finish();
    }
  }

  /// Makes a frame of what is left, but for half a sample.
  void finish() {
    final whole = _restBytes - _restBytes % 2;
    if (whole > 0) {
      _frames.add(Uint8List.fromList(Uint8List.sublistView(_rest, 0, whole)));
      _heldBytes += whole;
      _makeRoom();
    }
    _restBytes = 0;
  }

  /// The server holds the frames up to and including [ackSeq]; whether that is news.
  bool acknowledge(int ackSeq) {
    final now = min(ackSeq + 1, nFrames);
    if (now <= _acknowledged) return false;
    _acknowledged = now;
    _makeRoom();
    return true;
  }

  /// A server holds so much and no more: what another one has acknowledged counts no longer.
  /// Whether all that it lacks is kept.
  bool rewind(int ackSeq) {
    if (ackSeq + 1 < _firstKept) return false;
    _acknowledged = min(ackSeq + 1, nFrames);
    return true;
  }

  /// The audio of a frame that is kept.
  Uint8List payload(int sequence) => _frames.elementAt(sequence - _firstKept);

  /// All the audio that is kept.
  Uint8List audio() {
    final all = BytesBuilder(copy: false);
    _frames.forEach(all.add);
    return all.takeBytes();
  }

  void _makeRoom() {
    while (isFull && _firstKept < _acknowledged) {
      _heldBytes -= _frames.removeFirst().length;
      _firstKept += 1;
    }
  }
}
