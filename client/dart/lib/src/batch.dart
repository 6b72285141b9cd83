import 'dart:async';
import 'dart:convert';
import 'dart:math';
import 'dart:typed_data';

import 'package:http/http.dart' as http;

import 'capture.dart';
import 'errors.dart';
import 'servers.dart';

const _dictationPath = '/ws/transcribe';
const _batchPath = '/v1/audio/transcriptions';

/// How long an answer may take, in seconds, in addition to the duration of the recording.
const _answerSec = 60.0;

/// Statuses that say: the same request may succeed later.
const _transient = {408, 429, 503};
const _wavHeaderBytes = 44;

/// A recording, PCM16 at 16 kHz, mono, and what goes along.
class Recording {
  const Recording(this.pcm16, {this.language = '', this.context = '', this.apiKey = ''});

  final Uint8List pcm16;
  final String language;
  final String context;
  final String apiKey;
}

/// The last resort: posts a recording to the batch endpoints of the servers at these dictation
/// addresses, one after another, with patience. Throws [DictationFailed].
Future<String> transcribeSomewhere(
  List<Uri> addresses,
  Recording recording,
  Timing timing,
  http.Client client,
  bool Function() isOver,
) async {
  final began = now();
  final left = [...addresses];
  var failure = const DictationFailed('no_server', 'there is no server to ask');
  for (var delay = timing.firstRetry; left.isNotEmpty; delay = min(2 * delay, timing.lastRetry)) {
    for (final address in [...left]) {
      try {
        return await transcribeRecording(address, recording, client);
      } on ServerUnreachable catch (error) {
        failure = error;
      } on DictationFailed catch (error) {
        failure = error;
        left.remove(address);
      }
      if (isOver()) throw failure;
    }
    if (now() - began >= timing.patience) break;
    await Future<void>.delayed(seconds(delay));
  }
  throw failure;
}

/// The text, by the server at this dictation address.
///
/// Throws [ServerUnreachable] when it may be asked again, another [DictationFailed] when not.
Future<String> transcribeRecording(Uri address, Recording recording, http.Client client) async {
  if (!address.path.endsWith(_dictationPath)) {
    throw DictationFailed('no_batch', '$address tells no address for recordings');
  }
  final prefix = address.path.substring(0, address.path.length - _dictationPath.length);
  final target = Uri(
    scheme: address.scheme == 'wss' ? 'https' : 'http',
    host: address.host,
    port: address.hasPort ? address.port : null,
    path: prefix + _batchPath,
  );
  final request = http.MultipartRequest('POST', target)
    ..fields['model'] = 'polyasr'
    ..fields['response_format'] = 'json'
    ..files.add(
      http.MultipartFile.fromBytes('file', _wav(recording.pcm16), filename: 'dictation.wav'),
    );
  if (recording.language.isNotEmpty) request.fields['language'] = recording.language;
  if (recording.context.isNotEmpty) request.fields['prompt'] = recording.context;
  if (recording.apiKey.isNotEmpty) {
    request.headers['Authorization'] = 'Bearer ${recording.apiKey}';
  }
  final limit = seconds(_answerSec + recording.pcm16.length / bytesPerSecond);
  final http.Response response;
  try {
    response = await client.send(request).then(http.Response.fromStream).timeout(limit);
  } on Exception catch (error) {
    throw ServerUnreachable('${target.authority} did not transcribe the recording: $error');
  }
  return _read(target.authority, response);
}

String _read(String host, http.Response response) {
  final status = response.statusCode;
  var message = '$host answers a recording with HTTP status $status';
  var code = 'no_text';
  try {
    final answer = jsonDecode(utf8.decode(response.bodyBytes));
    if (answer case {'text': final String text} when status == 200) return text;
    if (answer case {'error': {'message': final String told, 'code': final String word}}) {
      message = told;
      code = word;
    }
  } on FormatException {
    // what is no JSON says nothing that could be told
  }
  throw _transient.contains(status)
      ? ServerUnreachable(message)
      : DictationFailed(code, message);
}

Uint8List _wav(Uint8List pcm16) {
  final file = Uint8List(_wavHeaderBytes + pcm16.length);
  ByteData.sublistView(file)
    ..setUint32(0, 0x52494646) // RIFF
    ..setUint32(4, file.length - 8, Endian.little)
    ..setUint32(8, 0x57415645) // WAVE
    ..setUint32(12, 0x666d7420) // "fmt "
    ..setUint32(16, 16, Endian.little)
    ..setUint16(20, 1, Endian.little) // PCM
    ..setUint16(22, 1, Endian.little) // mono
    ..setUint32(24, bytesPerSecond ~/ 2, Endian.little)
    ..setUint32(28, bytesPerSecond, Endian.little)
    ..setUint16(32, 2, Endian.little)
    ..setUint16(34, 16, Endian.little)
    ..setUint32(36, 0x64617461) // data
    ..setUint32(40, pcm16.length, Endian.little);
  file.setRange(_wavHeaderBytes, file.length, pcm16);
  return file;
}
