"""A face as HTML, in the colours of whatever front end shows it.

JupyterLab and Notebook 7 name their colours in ``--jp-`` variables, VS Code in ``--vscode-`` ones;
elsewhere the text's own colour does.
"""

from __future__ import annotations

from html import escape

from jupyter_mig.widget.curve import COLUMNS, LEVELS
from jupyter_mig.widget.face import Face, Gauge

_TEXT = "var(--jp-ui-font-color1, var(--vscode-foreground, currentColor))"
_FAINT = "var(--jp-ui-font-color2, var(--vscode-descriptionForeground, currentColor))"
_TROUGH = "var(--jp-layout-color3, var(--vscode-input-background, rgba(128, 128, 128, 0.3)))"
_FILL = "var(--jp-brand-color1, var(--vscode-charts-blue, #1976d2))"
_WARNING = "var(--jp-warn-color1, var(--vscode-charts-orange, #f57c00))"
_FONT = "var(--jp-ui-font-family, var(--vscode-font-family, sans-serif))"

STYLE = f"""<style>
.jp-mig-Monitor {{ font: 13px/1.5 {_FONT}; color: {_TEXT}; max-width: 34em; }}
.jp-mig-Monitor-tag {{ border: 1px solid {_WARNING}; border-radius: 8px;
  padding: 0 6px; font-size: 11px; font-weight: 600; }}
.jp-mig-Monitor-gpu, .jp-mig-Monitor-source, .jp-mig-Monitor-note {{ color: {_FAINT}; }}
.jp-mig-Monitor-gauges {{ display: grid; gap: 4px 10px; align-items: center;
  grid-template-columns: max-content minmax(5em, 10em) max-content 9em; }}
.jp-mig-Monitor-wide {{ grid-column: 2 / -1; color: {_FAINT}; }}
.jp-mig-Monitor-words {{ font-variant-numeric: tabular-nums; }}
.jp-mig-Monitor-words.jp-mod-warning {{ font-weight: 600; }}
.jp-mig-Monitor-bar {{ height: 6px; border-radius: 3px; background: {_TROUGH}; overflow: hidden; }}
.jp-mig-Monitor-bar > span {{ display: block; height: 100%; background: {_FILL}; }}
.jp-mig-Monitor-bar.jp-mod-warning > span {{ background: {_WARNING}; }}
.jp-mig-Monitor svg {{ display: block; width: 100%; height: 20px; overflow: visible;
  border-bottom: 1px solid {_TROUGH}; }}
.jp-mig-Monitor polyline {{ fill: none; stroke: {_FILL}; stroke-width: 1.5px;
  vector-effect: non-scaling-stroke; stroke-linejoin: round; }}
.jp-mig-Monitor .jp-mod-stale {{ opacity: 0.5; }}
</style>"""
"""Sent once; cards, which are sent again and again, name its classes."""


def card(face: Face) -> str:
    """The card; nothing in it is trusted to be HTML."""
    gauges = "".join(_gauge(gauge) for gauge in face.gauges)
    stale = " jp-mod-stale" if face.stale else ""
    return (
        f'<div class="jp-mig-Monitor" role="group" aria-label="{escape(face.title)}">'
        f"<div>{_head(face)}</div>"
        f'<div class="jp-mig-Monitor-gauges{stale}">{gauges}</div>'
        f"{_notes(face)}</div>"
    )


def _head(face: Face) -> str:
    gpu = f' <span class="jp-mig-Monitor-gpu">{escape(face.gpu_name)}</span>'
    tag = ' <span class="jp-mig-Monitor-tag">simulated</span>'
    return f"<b>{escape(face.title)}</b>{gpu * bool(face.gpu_name)}{tag * face.simulated}"


def _notes(face: Face) -> str:
    if not face.notes:
        return ""
    notes = "<br>".join(escape(note) for note in face.notes)
    return f'<div class="jp-mig-Monitor-note" role="status">{notes}</div>'


def _gauge(gauge: Gauge) -> str:
    name = f"<span>{escape(gauge.name)}</span>"
    if gauge.share is None:
        return f'{name}<span class="jp-mig-Monitor-wide">{escape(gauge.words)}</span>'
    return f"{name}{_bar(gauge, gauge.share)}{_words(gauge)}{_curve(gauge)}"


def _bar(gauge: Gauge, share: float) -> str:
    percent = round(share * 100)
    return (
        f'<div class="jp-mig-Monitor-bar{_mark(gauge)}" role="meter" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent}" aria-valuetext="{escape(gauge.words)}" '
        f'aria-label="{escape(gauge.name)}"><span style="width:{percent}%"></span></div>'
    )


def _words(gauge: Gauge) -> str:
    warning = f" {escape(gauge.warning)}" if gauge.warning else ""
    source = f' <span class="jp-mig-Monitor-source">({escape(gauge.source)})</span>'
    return (
        f'<span class="jp-mig-Monitor-words{_mark(gauge)}">{escape(gauge.words)}{warning}'
        f"{source * bool(gauge.source)}</span>"
    )


def _mark(gauge: Gauge) -> str:
    return " jp-mod-warning" if gauge.warning else ""


def _curve(gauge: Gauge) -> str:
    if len(gauge.curve) < 2:
        return "<span></span>"
    corners = " ".join(f"{column},{LEVELS - level}" for column, level in gauge.curve)
    return (
        f'<svg viewBox="0 0 {COLUMNS - 1} {LEVELS}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(gauge.name)}, last five minutes"><polyline points="{corners}"/></svg>'
    )
