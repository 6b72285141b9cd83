// Dictates raw PCM16 (16 kHz, mono) from standard input; the last line is the outcome, in JSON:
//   dart run bin/dictate.dart URL [URL …] < speech.pcm
// This is what conformance/ runs: python -m conformance client -- dart run bin/dictate.dart
import 'dart:convert';
import 'dart:io';
import 'dart:math';
import 'dart:typed_data';

import 'package:polyasr_client/polyasr_client.dart';

const _pieceBytes = 3200;

Future<void> main(List<String> servers) async {
  final input = BytesBuilder(copy: false);
  await stdin.forEach(input.add);
  final pcm16 = input.takeBytes();
  try {
    final dictation = Dictation(servers: servers);
    for (var at = 0; at < pcm16.length && !dictation.isOver; at += _pieceBytes) {
      final end = min(at + _pieceBytes, pcm16.length);
      await dictation.send(Uint8List.sublistView(pcm16, at, end));
    }
    final text = await dictation.stop();
    stdout.writeln(jsonEncode({'type': 'final', 'text': text.text, 'covered': text.covered}));
  } on DictationFailed catch (failure) {
    stdout.writeln(
      jsonEncode({'type': 'failed', 'code': failure.code, 'error': failure.message}),
    );
    exitCode = 1;
  }
  await stdout.flush();
  exit(exitCode); // a socket to a silent server would linger
}
