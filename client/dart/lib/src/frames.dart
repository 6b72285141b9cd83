import 'dart:typed_data';

const _magic = 0x42415352; // "BASR"
const _version = 1;
const _audio = 1;
const _headerBytes = 16;
const _half = 0x100000000;

/// Audio as it goes over the wire: a header of 16 bytes, then PCM16, little-endian, 16 kHz, mono.
///
/// [sequence] is 0 for the first frame of a session, then one more for each.
Uint8List encodeFrame(int sequence, Uint8List payload) {
  final frame = Uint8List(_headerBytes + payload.length);
  ByteData.sublistView(frame)
    ..setUint32(0, _magic)
    ..setUint8(4, _version)
    ..setUint8(5, _audio)
    // In two halves: in a browser there are no integers of 64 bits.
    ..setUint32(8, sequence ~/ _half)
    ..setUint32(12, sequence % _half);
  frame.setRange(_headerBytes, frame.length, payload);
  return frame;
}
