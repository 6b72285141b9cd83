"""``python -m bench batch``: recordings through the server's HTTP, against qwen-asr's own."""
