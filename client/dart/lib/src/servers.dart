import 'dart:math';

/// How long things may take, in seconds.
class Timing {
  const Timing({
    this.patience = 60,
    this.loyal = 5,
    this.firstRetry = 0.1,
    this.lastRetry = 3,
    this.connect = 10,
    this.probe = 10,
    this.stall = 20,
  });

  /// How long a lost server is looked for since the dictation last got on.
  final double patience;

  /// How long the server that holds the session is looked for before the others have their turns:
  /// elsewhere all the audio has to be sent again.
  final double loyal;

  /// Between two attempts to reach a server: doubled each time, up to [lastRetry].
  final double firstRetry;
  final double lastRetry;

  /// How long a server has to accept a connection.
  final double connect;

  /// After so much silence of a server that owes an answer it is asked for a sign of life, …
  final double probe;

  /// … and after so much more it counts as lost: a phone that changes networks is not told.
  final double stall;
}

final Stopwatch _clock = Stopwatch()..start();

/// Seconds of a clock that never goes back.
double now() => _clock.elapsedMicroseconds / 1e6;

Duration seconds(double number) => Duration(microseconds: (number * 1e6).round());

/// The servers that may be asked, in the order of preference.
///
/// They are looked for with patience, and each of them once in any case; until one is reached each
/// is asked once.
class Servers {
  Servers(List<Uri> addresses, this._timing) : _left = [...addresses];

  final List<Uri> _left;
  final Timing _timing;
  bool wasReached = false;
  int _turn = 0;
  bool _movesOn = false;
  bool _gotOn = true;
  double _since = 0;
  double _delay = 0;
  int _visits = 0;

  int get count => _left.length;

  /// Whose turn it is.
  Uri get current => _left[_turn];

  /// The dictation got on: whoever is lost now is looked for anew.
  void gotOn() => _gotOn = true;

  /// The next connection goes to the next server.
  void moveOn() => _movesOn = true;

  /// The current one is asked no more.
  void drop() {
    _left.removeAt(_turn);
    _turn -= 1;
    _movesOn = true;
  }

  /// Seconds until the next attempt, at whoever's turn it is then; null: give up.
  double? pause() {
    if (_gotOn) {
      _gotOn = false;
      _since = now();
      _delay = _timing.firstRetry;
      _visits = 0;
    }
    final lostFor = now() - _since;
    final patience = wasReached ? _timing.patience : 0.0;
    _visits += 1;
    if (_left.isEmpty || (lostFor >= patience && _visits >= count)) return null;
    if (_movesOn || lostFor >= min(_timing.loyal, patience)) {
      _turn = (_turn + 1) % count;
      _movesOn = false;
    }
    final delay = _delay;
    _delay = min(2 * delay, _timing.lastRetry);
    return wasReached ? delay : 0;
  }
}
