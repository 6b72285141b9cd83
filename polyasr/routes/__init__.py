"""The HTTP and WebSocket routes, one blueprint a file, over the pipeline and the engine."""
