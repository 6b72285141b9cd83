"""The models: the only place that imports model libraries, and those only once they are needed."""

from polyasr.engine.engine import SpeechEngine, open_engine

__all__ = ["SpeechEngine", "open_engine"]
