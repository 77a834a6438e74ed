"""The report that a person is sent: one HTML file with its picture inside, which asks the network for nothing."""

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

from ..auditing.words import TIMES
from .view import Part, View

_STYLE = """
:root { color-scheme: light; --ink: #1c2530; --pale: #6b7685; --rule: #e3e7ec; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 60rem; margin: 2.5rem auto; padding: 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .4rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; }
p.verdict { font-size: 1.15rem; margin: 0 0 1.2rem; } footer, .pale { color: var(--pale); } img { width: 100%; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; } th { color: var(--pale);
font-weight: normal; } td, th { padding: .25rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; }
tr.gpu td { color: #1f7a5c; } footer { border-top: 1px solid var(--rule); margin-top: 3rem; padding-top: 1rem; }
.limit { border-left: 3px solid #9a6a00; padding-left: .8rem; }
"""
_HOW = (
    "Capacity: the highest rate of Poisson arrivals whose p99, counted from when each request was due, met the target; "
    "found by doubling and bisection, and confirmed with other arrivals. Replicas: traffic over capacity, rounded up. "
    f"Dollars per million: replicas {TIMES} price {TIMES} 10⁶ / (3600 {TIMES} traffic), so idle time is paid for."
)


def page(found: View, picture: bytes | None, record: Mapping[str, Any]) -> str:
    """Return the report; `picture` is None where there is nothing to draw."""
    names = escape(found.names)
    encoded = base64.b64encode(picture).decode() if picture else ""
    image = f'<img src="data:image/png;base64,{encoded}" alt="Dollars per million answers over traffic">'
    client, python = record["hardware"], record["versions"]["python"]
    where = f"{client['cpu']}, {client['cores']} cores, {client['system']}, Python {python}"
    made = f"<code>{escape(record['command'])}</code><br>client: {escape(where)}; commit {escape(record['commit'])}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>pitstop compare: {names}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f'<h1>{names}</h1><p class="verdict">{escape(found.verdict)}</p>{image if picture else ""}'
        + "".join(_part(each) for each in found.parts)
        + "".join(f'<p class="limit">{escape(each)}</p>' for each in found.limits)
        + _costs(found)
        + f"<footer>{escape(found.caveat)} {_HOW}<br><br>{made}; {escape(record['date'])}</footer></body></html>\n"
    )


def _part(part: Part) -> str:
    runs = f", {part.runs} runs" if part.runs else ""
    return (
        f"<h2>{escape(part.title)} ({escape(part.where)})</h2><p>{escape(part.found)}{runs}<br>"
        f'<span class="pale">{escape(part.price)}</span></p>'
    )


def _costs(found: View) -> str:
    if not found.rows:
        return ""
    heads = "".join(f"<th>{escape(head)}" for head in found.heads)
    rows = "".join(
        f'<tr class="{cheaper}">' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        for cells, cheaper in zip(found.rows, found.cheaper, strict=True)
    )
    return f"<h2>What traffic costs</h2><table><tr>{heads}</tr>{rows}</table>"
