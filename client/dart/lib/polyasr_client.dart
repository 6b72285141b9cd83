/// Dictation with a polyasr server: for Flutter on every platform, and for Dart.
library;

export 'src/dictation.dart' show Dictation;
export 'src/errors.dart';
export 'src/events.dart';
export 'src/servers.dart' show Timing;
