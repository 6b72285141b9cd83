"""Results as one HTML page that needs nothing else: tables, plots, one utterance."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt

from bench.dictation import plots, tables
from bench.dictation.results import DictationResult, Run, Timeline

SHOWN_EVENTS = 60
"""Of an utterance; a long one has thousands."""
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2937; max-width: 1320px;
       margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin-bottom: .3rem; } h2 { font-size: 1.2rem; margin-top: 2.4rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
.about { color: #6b7280; white-space: pre-line; font-size: .85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .82rem; margin: .8rem 0; }
th, td { padding: .3rem .5rem; text-align: left; border-bottom: 1px solid #e5e7eb; }
th { color: #6b7280; font-weight: 600; } td { font-variant-numeric: tabular-nums; }
th, td { white-space: nowrap; } .text td { white-space: normal; }
svg { width: 100%; height: auto; }
.text td:first-child { color: #6b7280; white-space: nowrap; vertical-align: top; }
.tentative { color: #9a6b2f; } .final td { font-weight: 600; }
"""


def page(results: Sequence[DictationResult]) -> str:
    """The page. Needs matplotlib."""
    body = "\n".join(_result(result) for result in results)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Dictation, measured</title><style>{STYLE}</style></head>\n"
        f"<body>\n<h1>Dictation, measured</h1>\n{body}\n</body>\n</html>\n"
    )


def _result(result: DictationResult) -> str:
    runs = result.runs
    parts = [f'<p class="about">{html.escape(tables.heading(result))}</p>']
    if result.is_paced:
        parts += [
            "<h2>What a person waits for</h2>",
            "<p>p50 / p95 / p99, in seconds. What never came counts as longer than all.</p>",
            _table(tables.delays(runs)),
            plots.distributions(runs),
        ]
    parts += [
        "<h2>What is in the text</h2>",
        "<p>Rates with 95 % intervals. NE: words taken back for each word of the final.</p>",
        _table(tables.words(runs)),
        "<h2>What it costs</h2>",
        _table(tables.load(runs)),
        *(f"<p>{html.escape(remark)}</p>" for remark in tables.remarks(runs)),
    ]
    if result.capacities:
        parts += ["<h2>Streams at once</h2>", plots.capacity(result.capacities)]
        parts += [_table(tables.capacity(each)) for each in result.capacities]
    if result.is_paced:
        parts += ["<h2>One utterance</h2>", *_utterances(runs)]
    return "\n".join(parts)


def _utterances(runs: Sequence[Run]) -> Iterator[str]:
    """The first clip of each system's first run."""
    seen = set()
    for run in runs:
        if run.system not in seen and run.timeline is not None:
            seen.add(run.system)
            yield f"<h3>{html.escape(tables.name(run))}</h3>"
            yield plots.utterance(run.timeline)
            yield _texts(run.timeline)


def _texts(timeline: Timeline) -> str:
    rows = []
    events = plots.partials(timeline)
    for event in [*events[:-1][:SHOWN_EVENTS], *events[-1:]]:
        heard = event.heard
        settled = heard.promised or ""
        if not heard.text.startswith(settled):
            settled = ""
        rest = html.escape(heard.text[len(settled) :])
        rows.append(
            f"<tr{' class=final' if heard.is_final else ''}><td>{event.at:.2f} s</td>"
            f'<td>{html.escape(settled)}<span class="tentative">{rest}</span></td></tr>'
        )
    said = f"<tr><td>said</td><td>{html.escape(timeline.text)}</td></tr>"
    return f'<table class="text">{said}{"".join(rows)}</table>'


def _table(markdown: str) -> str:
    plain = MarkdownIt("commonmark", {"html": False}).enable("table")
    return f'<div class="wide">{plain.render(markdown)}</div>'
