"""polyasr: a self-hosted, low-latency speech recognition server for Qwen3-ASR."""

__version__ = "0.1.0"
