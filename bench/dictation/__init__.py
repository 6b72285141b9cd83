"""What a person feels of a streaming recognizer: measured at the speed of speech."""
