import 'dart:convert';

import 'errors.dart';
import 'events.dart';

/// A message of either side.
typedef Message = Map<String, Object?>;

/// The fields that this client relies on, and their types, by type of message.
const _required = <String, Map<String, Type>>{
  'started': {'ackSeq': int},
  'resumed': {'ackSeq': int},
  'ack': {'ackSeq': int},
  'partial': {'partial': String},
  'final': {'stopId': String, 'text': String},
  'stopExpired': {'reason': String},
  'error': {'error': String, 'code': String},
  'speech': {'state': String, 'audioSec': num},
  'segment': {'id': int, 'text': String, 'start': num, 'end': num},
  'rejected': {'start': num, 'end': num},
};

/// Reads what a server said. Throws [DictationFailed] when it cannot be a message.
Message parseServer(Object? said) {
  final Object? message;
  try {
    message = jsonDecode(said as String);
  } on FormatException {
    throw const DictationFailed('invalid_json', 'the server sent what is no JSON');
  } on TypeError {
    throw const DictationFailed('unsupported_message', 'the server sent a binary message');
  }
  if (message is! Message || message['type'] is! String) {
    throw const DictationFailed('unsupported_message', 'the server sent no message');
  }
  final fields = _required[message['type']] ?? const <String, Type>{};
  for (final MapEntry(key: name, value: type) in fields.entries) {
    if (!_isOf(type, message[name])) {
      throw DictationFailed(
        'unsupported_message',
        'the server sent ${message['type']} without $name',
      );
    }
  }
  return message;
}

bool _isOf(Type type, Object? value) => switch (type) {
      const (int) => value is int,
      const (num) => value is num,
      _ => value is String,
    };

PartialText partialOf(Message message) {
  final text = message['partial']! as String;
  final committed = message['committed'];
  final settled = committed is String && text.startsWith(committed) ? committed : '';
  return PartialText(
    committed: settled,
    tentative: text.substring(settled.length),
    language: _textOf(message['language']),
    audioSec: _numberOf(message['audioSec']),
  );
}

SpeechChange speechOf(Message message) => SpeechChange(
      isSpeech: message['state'] == 'started',
      audioSec: _numberOf(message['audioSec'])!,
    );

Segment segmentOf(Message message) {
  final words = message['words'];
  return Segment(
    id: message['id']! as int,
    text: message['text']! as String,
    start: _numberOf(message['start'])!,
    end: _numberOf(message['end'])!,
    language: _textOf(message['language']),
    words: words is! List<Object?>
        ? null
        : [
            for (final word in words.whereType<Message>())
              Word(
                text: _textOf(word['text']) ?? '',
                start: _numberOf(word['start']) ?? 0,
                end: _numberOf(word['end']) ?? 0,
              ),
          ],
  );
}

Rejected rejectedOf(Message message) => Rejected(
      start: _numberOf(message['start'])!,
      end: _numberOf(message['end'])!,
      similarity: _numberOf(message['similarity']),
    );

String? _textOf(Object? value) => value is String ? value : null;

double? _numberOf(Object? value) => value is num ? value.toDouble() : null;
