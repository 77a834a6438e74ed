"""The report that a person is sent: one HTML file with its pictures inside, which asks the network for nothing."""

import base64
from collections.abc import Sequence
from html import escape

from configs.document import Document
from configs.problems import where

from .examine import Examined
from .finding import Finding
from .hardware import Hardware, commit, versions
from .mistakes import Verdict
from .step import Step, grouped, ran
from .words import TIMES, busy, number, off

_STYLE = """
:root { color-scheme: light; --ink: #1c2530; --pale: #6b7685; --rule: #e3e7ec; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 60rem; margin: 2.5rem auto; padding: 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; border-top: 1px solid var(--rule);
padding-top: 1.5rem; } p.under, footer { color: var(--pale); margin: .2rem 0 1rem; } img { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin: 1rem 0; }
th { text-align: left; color: var(--pale); font-weight: normal; } td, th { padding: .25rem .6rem .25rem 0;
border-bottom: 1px solid var(--rule); vertical-align: top; } .n { text-align: right; } .g td { color: var(--pale);
font-style: italic; padding-top: .8rem; } .made, .refusal b, .mistake b { color: #c4533a; } .absent { color: #1f7a5c; }
.warning b { color: #9a6a00; } .hint b { color: #3b6ea8; } .finding { border-left: 3px solid var(--rule);
padding-left: .9rem; margin: 1rem 0; } .finding.mistake, .finding.refusal { border-color: #c4533a; }
pre { background: #f5f7f9; padding: .5rem .8rem; margin: .4rem 0; overflow-x: auto; } code { font-size: .92em; }
footer { border-top: 1px solid var(--rule); margin-top: 3rem; padding-top: 1rem; }
"""


def page(audits: Sequence[tuple[Examined, bytes | None]], document: Document, machine: Hardware, command: str) -> str:
    """Return the report; with each model comes its picture, or None where nothing was measured."""
    verdict = "; ".join(f"{examined.case.app.config.name}: {examined.verdict}" for examined, _ in audits)
    good = all(examined.judged == "good" for examined, _ in audits)
    found = ", ".join(f"{name} {version}" for name, version in versions().items())
    parts = "".join(_model(examined, picture, document, machine) for examined, picture in audits)
    title = f"pitstop audit of {escape(str(document.path))}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f'<h1>{title}</h1><p class="under">{escape(machine.title())}: '
        f'<span class="{"absent" if good else "made"}">{escape(verdict)}</span></p>{parts}'
        f"<footer><code>{escape(command)}</code><br>{escape(machine.cpu)}, {machine.cores} cores, "
        f"{machine.memory_gib:g} GiB, {escape(machine.system)}; {escape(found)}; commit {escape(commit())}<br>"
        "Off: the largest deviation from eager fp32, relative to an output's largest value. "
        "MiB: weights and the peak of one forward.</footer></body></html>\n"
    )


def _model(examined: Examined, picture: bytes | None, document: Document, machine: Hardware) -> str:
    name = escape(examined.case.app.config.name)
    parts = [f"<h2>{name}</h2>"]
    if examined.twin:
        parts.append(f'<p class="under">measured as {escape(examined.twin)}: the same model on the same device</p>')
    if examined.unmeasured:
        parts.append(f"<p>{escape(examined.unmeasured)}</p>")
    if picture is not None and not examined.twin:
        encoded = base64.b64encode(picture).decode()
        alt = f"Items a second of {name} on {escape(machine.title())}, one bar a step"
        parts.append(f'<img src="data:image/png;base64,{encoded}" alt="{alt}">')
    if examined.case.steps and not examined.twin:
        parts.append(_verdicts(examined.verdicts))
        spoilt = busy(examined.case.steps)
        parts += [f"<p>{escape(spoilt)}</p>"] if spoilt else []
    parts += [_finding(finding, document) for finding in examined.findings]
    if examined.case.steps and not examined.twin:
        parts.append(_steps(examined.case.steps))
    return "".join(parts)


def _verdicts(verdicts: Sequence[Verdict]) -> str:
    rows = "".join(
        f'<tr><td>{each.number} {escape(each.title)}</td><td class="{each.word}">'
        f"{each.word}</td><td class=n>"
        f"{'' if each.factor is None else f'{each.factor:.1f}{TIMES}'}</td><td>{escape(each.cost)}</td></tr>"
        for each in verdicts
    )
    return f"<table><tr><th>mistake<th>here<th class=n>costs<th></tr>{rows}</table>"


def _finding(finding: Finding, document: Document) -> str:
    cost = f"<div>Cost: {escape(finding.cost)}</div>" if finding.cost else ""
    label = f"{finding.severity} {finding.mistake}" if finding.mistake else finding.severity
    return (
        f'<div class="finding {finding.severity}"><b>{label}</b> <code>{escape(document.place(finding.keys))}</code> '
        f"{escape(where(document.raw, finding.keys))}<div>{escape(finding.what)}</div>{cost}"
        f"<pre>{escape(finding.fix)}</pre></div>"
    )


def _steps(steps: Sequence[Step]) -> str:
    first = next((step.items_s or 1 for step, _ in ran(steps)), 1)
    body = ""
    for group in grouped(steps):
        body += f'<tr class="g"><td colspan="8">{escape(group.title)}</td></tr>'
        body += "".join(_row(step, first) for step in group.steps)
    heads = "".join(f"<th class=n>{each}" for each in ("p50 ms", "p99 ms", "runs", "items/s", TIMES, "MiB", "off"))
    return f"<table><tr><th>step{heads}</tr>{body}</table>"


def _row(step: Step, first: float) -> str:
    label, timing, items = escape(step.head.label), step.timing, step.items_s
    if timing is None or items is None:
        return f'<tr><td>{label}</td><td colspan="7">left out: {escape(step.skipped)}</td></tr>'
    memory = "" if step.peak_mib is None else number(step.peak_mib)
    cells = [number(timing.p50_ms), number(timing.p99_ms), f"{timing.runs:,}", number(items), f"{items / first:.1f}"]
    cells += [memory, off(step.deviation)]
    return f"<tr><td>{label}</td>" + "".join(f"<td class=n>{cell}</td>" for cell in cells) + "</tr>"
