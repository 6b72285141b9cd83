"""Does a server, or a client, speak the dictation protocol? Transcripts in JSON, and a runner."""
