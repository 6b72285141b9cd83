"""The web application: the routes over their services, the access rules, the form of errors."""

from __future__ import annotations

from quart.json.provider import DefaultJSONProvider
from quart_trio import QuartTrio

from polyasr.archive import Archive
from polyasr.metrics import Metrics
from polyasr.pipeline.registry import SessionRegistry
from polyasr.routes.access import access_rules, register_access
from polyasr.routes.align import align
from polyasr.routes.asr import asr
from polyasr.routes.body import BoundedHTTPConnection, BoundedRequest
from polyasr.routes.diarize import diarize
from polyasr.routes.dictation import Dictations, dictation
from polyasr.routes.docs import docs
from polyasr.routes.errors import register_errors
from polyasr.routes.forms import FORM_OVERHEAD_BYTES, MIB
from polyasr.routes.manifest import manifest
from polyasr.routes.metrics import metrics, register_metrics
from polyasr.routes.models import models
from polyasr.routes.operations import operations
from polyasr.routes.page import Page, page_parts
from polyasr.routes.services import ServingEngine, open_services
from polyasr.routes.transcriptions import transcriptions
from polyasr.routes.translations import translations
from polyasr.settings import Settings


class JSONProvider(DefaultJSONProvider):
    """JSON as people write it: text in its own script, keys in the order they were given."""

    ensure_ascii = False
    sort_keys = False


class Application(QuartTrio):
    """Quart on trio, with bounded request bodies."""

    request_class = BoundedRequest
    asgi_http_class = BoundedHTTPConnection


def create_app(
    settings: Settings,
    engine: ServingEngine,
    sessions: SessionRegistry,
    archive: Archive,
    counted: Metrics,
) -> tuple[QuartTrio, Dictations]:
    """The application of one server, and its dictations. The engine, the sessions and the archive
    outlive it."""
    app = Application("polyasr", static_folder=None)
    app.json = JSONProvider(app)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_upload_mb * MIB + FORM_OVERHEAD_BYTES
    app.config["RESPONSE_TIMEOUT"] = None  # event streams last as long as the work
    page = Page()
    services, rules = open_services(settings, engine, archive, counted), access_rules(settings)
    dictations = Dictations(services, rules, sessions)
    register_metrics(app, counted)
    register_access(app, rules)
    register_errors(app, engine)
    app.register_blueprint(operations(services, page))
    app.register_blueprint(metrics(services, sessions))
    app.register_blueprint(page_parts(page))
    app.register_blueprint(docs(services))
    app.register_blueprint(models(services))
    app.register_blueprint(transcriptions(services))
    app.register_blueprint(translations(services))
    app.register_blueprint(asr(services))
    app.register_blueprint(align(services))
    app.register_blueprint(manifest(services))
    app.register_blueprint(diarize(services))
    app.register_blueprint(dictation(dictations))
    return app, dictations
