import 'dart:typed_data';

import 'package:polyasr_client/src/capture.dart';
import 'package:polyasr_client/src/errors.dart';
import 'package:polyasr_client/src/frames.dart';
import 'package:polyasr_client/src/messages.dart';
import 'package:polyasr_client/src/servers.dart';
import 'package:test/test.dart';

Uint8List bytes(int n) => Uint8List.fromList([for (var i = 0; i < n; i += 1) i % 251]);

void main() {
  test('audio in pieces of any size becomes frames of 100 ms', () {
    final capture = Capture();
    final audio = bytes(3 * frameBytes + 7);
    for (var at = 0; at < audio.length; at += 999) {
      final end = at + 999 < audio.length ? at + 999 : audio.length;
      capture.add(Uint8List.sublistView(audio, at, end));
    }
    expect(capture.nFrames, 3);
    capture.finish();
    expect(capture.nFrames, 4);
    expect(capture.audio(), audio.sublist(0, audio.length - 1));
  });

  test('acknowledged frames go first, and only to make room', () {
    final capture = Capture(2 * frameBytes)..add(bytes(2 * frameBytes));
    expect(capture.acknowledge(1), isTrue);
    expect(capture.acknowledge(0), isFalse);
    expect(capture.firstKept, 0);
    capture.add(bytes(2 * frameBytes));
    expect(capture.firstKept, 2);
    capture.add(bytes(frameBytes));
    expect(capture.isFull, isTrue);
    expect(capture.rewind(0), isFalse);
    expect(capture.rewind(1), isTrue);
  });

  test('a frame is as the protocol has it', () {
    final frame = encodeFrame(0x10000000003, Uint8List.fromList([1, 2]));
    final hex = [for (final byte in frame) byte.toRadixString(16).padLeft(2, '0')].join();
    expect(hex, '42415352010100000000010000000003' '0102');
  });

  test('what a server may not say is told apart', () {
    expect(parseServer('{"type":"later"}')['type'], 'later');
    for (final said in ['', '{', 'null', '[]', '{"type":5}', '{"type":"ack"}']) {
      expect(() => parseServer(said), throwsA(isA<DictationFailed>()), reason: said);
    }
  });

  test('the session\'s server is looked for before the others have their turns', () {
    final addresses = [Uri.parse('ws://a/ws/transcribe'), Uri.parse('ws://b/ws/transcribe')];
    final servers = Servers(addresses, const Timing())..wasReached = true;
    expect(servers.pause(), 0.1);
    expect(servers.current.host, 'a');
    expect(servers.pause(), 0.2);
    servers.drop();
    expect(servers.pause(), isNotNull);
    expect(servers.current.host, 'b');
    servers.drop();
    expect(servers.pause(), isNull);
  });
}
