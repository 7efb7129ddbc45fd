"""How a comparison's page looks: its style, and what tells the models' curves apart."""

from __future__ import annotations

COLOURS = (
    "#1f6feb",
    "#cf3a17",
    "#1a7f37",
    "#8250df",
    "#b07d00",
    "#0b8a9b",
    "#c2338a",
    "#24292f",
    "#7a4a1c",
    "#5a8f00",
    "#3a3f9f",
    "#d9737f",
)
"""One a model, told apart on white; neighbours differ in their dashes too."""

DASHES = ("", "7 3", "2 3", "9 3 2 3")
"""Dashes as SVG has them: none, and three kinds."""

STYLE = """
:root { color-scheme: light; --ink: #1c2128; --faint: #59636e; --line: #d8dee4; --strong: #0b5bd3; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 24px 20px 48px; background: #fff;
  color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans",
  sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 36px 0 8px; }
p { margin: 4px 0 10px; max-width: 85ch; } p.wide { max-width: none; }
.faint { color: var(--faint); overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--line);
  vertical-align: bottom; white-space: nowrap; }
th { font-weight: 600; }
thead th { white-space: normal; } thead th span { white-space: nowrap; }
tbody th, tbody td { vertical-align: top; }
th:first-child { text-align: left; padding-left: 2px; position: sticky; left: 0; background: #fff; }
td small { display: block; color: var(--faint); }
td small.real { color: var(--ink); font-weight: 600; }
.ahead { background: #ddf4e2; } .behind { background: #fde3dc; } .chance { color: var(--faint); }
th.first, td.first { border-left: 1px solid var(--line); } th[scope=colgroup] { text-align: left; }
#apart th, #apart td { padding: 5px 6px; } #apart td { cursor: help; }
.bar { position: sticky; top: 0; z-index: 1; background: #fff; padding: 10px 0;
  border-bottom: 1px solid var(--line); display: flex; flex-wrap: wrap; gap: 8px 14px;
  align-items: center; margin-top: 28px; }
select, button { font: inherit; color: inherit; background: #fff; border: 1px solid var(--line);
  border-radius: 6px; padding: 3px 9px; }
button:disabled { color: #9aa4af; }
#legend { display: grid; gap: 6px; margin: 8px 0;
  grid-template-columns: repeat(auto-fill, minmax(232px, 1fr)); }
#legend button { display: flex; gap: 8px; align-items: center; text-align: left; min-width: 0; }
#legend span { flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
#legend b { font-weight: 600; font-size: 14px; font-variant-numeric: tabular-nums; }
#legend svg { flex: none; }
#legend [aria-pressed=false] { opacity: 0.45; text-decoration: line-through; }
#plot { touch-action: pan-y; user-select: none; min-height: 280px; cursor: crosshair; }
#plot svg { display: block; max-width: 100%; font-size: 12px; }
#plot text { fill: var(--faint); }
.grid { stroke: var(--line); } .axis, .cursor { stroke: var(--faint); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.alarm { stroke: #fff; stroke-width: 1; } .band { fill: #1f6feb; opacity: 0.12; }
pre { overflow-x: auto; background: #f6f8fa; padding: 12px; border-radius: 6px; font: 13px/1.45
  ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
summary { cursor: pointer; }
@media (max-width: 600px) {
  body { padding: 16px 14px 32px; }
  th, td { padding: 5px 7px; }
  #legend { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  #legend button { flex-wrap: wrap; font-size: 13px; gap: 0 6px; }
  #legend span { flex-basis: calc(100% - 40px); }
}
"""
