import 'errors.dart';

/// What happens in a dictation. Times are in seconds of its audio, silences included.
sealed class DictationEvent {
  const DictationEvent();
}

/// The whole text so far, in place of the last.
class PartialText extends DictationEvent {
  const PartialText({
    required this.committed,
    required this.tentative,
    this.language,
    this.audioSec,
  });

  /// Only grows, and the final begins with it; empty below control 3.
  final String committed;

  /// May still change.
  final String tentative;

  final String? language;
  final double? audioSec;

  String get text => committed + tentative;
}

/// Speech begins or ends (control 3).
class SpeechChange extends DictationEvent {
  const SpeechChange({required this.isSpeech, required this.audioSec});

  final bool isSpeech;
  final double audioSec;
}

/// A part of the text is sealed (control 3). It is told of once.
class Segment extends DictationEvent {
  const Segment({
    required this.id,
    required this.text,
    required this.start,
    required this.end,
    this.language,
    this.words,
  });

  final int id;
  final String text;
  final double start;
  final double end;
  final String? language;

  /// When they were asked for.
  final List<Word>? words;
}

/// A word and when it is heard.
class Word {
  const Word({required this.text, required this.start, required this.end});

  final String text;
  final double start;
  final double end;
}

/// Another voice was left out (control 3).
class Rejected extends DictationEvent {
  const Rejected({required this.start, required this.end, this.similarity});

  final double start;
  final double end;
  final double? similarity;
}

/// A server listens.
class Connected extends DictationEvent {
  const Connected(this.server);

  final String server;
}

/// All audio is heard again from the beginning, and partials and segments with it.
class Restarted extends DictationEvent {
  const Restarted();
}

/// No server listens just now; audio is taken and kept.
class Trouble extends DictationEvent {
  const Trouble(this.reason);

  final DictationFailed reason;
}

/// The text of the whole dictation.
class FinalText extends DictationEvent {
  const FinalText({
    required this.sessionId,
    required this.stopId,
    required this.text,
    required this.covered,
    required this.viaBatch,
    this.recognizedThroughSeq,
  });

  final String sessionId;
  final String stopId;
  final String text;

  /// Whether all that was captured is in the text, as far as the server tells.
  final bool covered;

  /// Whether the text was got by posting the recording.
  final bool viaBatch;

  final int? recognizedThroughSeq;
}
