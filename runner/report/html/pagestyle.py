"""How report.html looks: one style sheet, light and dark, wide and narrow, screen and paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1d2433; --soft: #5b6577; --rule: #dfe3ea; --mark: #e3e7ed;
  --accent: #3b5bdb; --good: #1f7a3a; --good-back: #e3f4e7; --bad: #b4232f; --bad-back: #fdeaea;
  --odd: #8a5a00; --odd-back: #fdf3dc; --log: #10151f; --log-text: #d8dee9;
  --span: #e4e8ee; --path: #cfd8fb; --pull: #4e79a7; --unpack: #63aaa5; --step: #e8a33d; --layer: #b97a1c;
  --cached: #98a2b3; --push: #4f9d56; --failed: #cf3f4b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161e; --card: #1a202b; --text: #e3e8f1; --soft: #9aa6b8; --rule: #2c3545; --mark: #28303e;
    --accent: #8ea2ff; --good: #6ed58b; --good-back: #16311f; --bad: #ff8d93; --bad-back: #3a1a1f;
    --odd: #f0c060; --odd-back: #362a10; --log: #0c1017; --log-text: #cfd6e2;
    --span: #2a3342; --path: #34427c; --pull: #6b9bd1; --unpack: #6fc0ba; --step: #e8a33d; --layer: #b97a1c;
    --cached: #7d899b; --push: #5fb868; --failed: #e5636d;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main, header, footer { max-width: 1160px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 28px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 0 0 4px; }
h3 { font-size: 15px; margin: 0; }
p { margin: 0 0 10px; }
a { color: var(--accent); }
.soft, .hint, figcaption { color: var(--soft); }
.note { color: var(--soft); font-size: 13.5px; margin: 0 0 12px; max-width: 80ch; }
.name, td, th, pre, li, dd { unicode-bidi: isolate; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 18px 20px;
  margin: 16px 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; margin: 18px 0 0; }
.tiles div { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 10px 14px; }
.tiles dt { color: var(--soft); font-size: 13px; }
.tiles dd { margin: 0; font-size: 20px; font-weight: 600; font-variant-numeric: tabular-nums; }
.tiles small { display: block; font-size: 12.5px; font-weight: 400; color: var(--soft); }
.badge { display: inline-block; border-radius: 999px; padding: 1px 9px; font-size: 12.5px; font-weight: 600;
  white-space: nowrap; background: var(--span); color: var(--soft); }
.badge.good { background: var(--good-back); color: var(--good); }
.badge.bad { background: var(--bad-back); color: var(--bad); }
.badge.odd { background: var(--odd-back); color: var(--odd); }
.problem { border-left: 4px solid var(--bad); padding: 2px 0 2px 14px; margin: 16px 0 0; }
.problem.odd { border-color: var(--odd); }
.problem header { padding: 0; display: flex; gap: 10px; align-items: baseline; flex-wrap: wrap; }
.problem .message { white-space: pre-wrap; overflow-wrap: anywhere; margin: 4px 0; }
pre { background: var(--log); color: var(--log-text); border-radius: 8px; padding: 10px 12px; margin: 8px 0;
  overflow: auto; font: 12.5px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  white-space: pre-wrap; }
code { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.row { display: grid; grid-template-columns: minmax(120px, 200px) 1fr 92px; gap: 12px; align-items: center; }
.row > .name { font-size: 13.5px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row.bad > .time { color: var(--bad); font-weight: 600; } .row.odd > .time { color: var(--odd); }
.row > .time { text-align: right; font-size: 13px; color: var(--soft); font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.row.inner { grid-template-columns: minmax(140px, 300px) 1fr 132px; } .row.inner > .name { font-size: 12.5px; }
.row svg { display: block; overflow: visible; }
.stage { font-size: 13px; font-weight: 600; margin: 10px 0 2px; }
svg text { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg text.middle { text-anchor: middle; } svg text.last { text-anchor: end; }
svg .mark { stroke: var(--mark); }
svg .span { fill: var(--span); } svg .path { fill: var(--path); } svg .pull { fill: var(--pull); }
svg .unpack { fill: var(--unpack); } svg .step { fill: var(--step); } svg .layer { fill: var(--layer); }
svg .cached { fill: var(--cached); } svg .push { fill: var(--push); } svg .failed { fill: var(--failed); }
svg rect:hover { filter: brightness(1.12); }
.legend { color: var(--soft); font-size: 13px; margin: 12px 0 0; display: flex; flex-wrap: wrap; gap: 4px 14px; }
.legend span { white-space: nowrap; } .legend svg { margin-right: 6px; vertical-align: -1px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--soft); font-weight: 600; font-size: 12.5px; white-space: nowrap;
  border-bottom: 1px solid var(--rule); padding: 6px 14px 6px 0; }
td { padding: 7px 14px 7px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.share { width: 26%; min-width: 90px; }
td code { overflow-wrap: anywhere; }
details { border-top: 1px solid var(--rule); padding: 8px 0; }
details:first-of-type { border-top: 0; }
summary { cursor: pointer; display: flex; gap: 10px; align-items: baseline; flex-wrap: wrap; }
summary::before { content: "\\25B8"; color: var(--soft); width: 12px; }
details[open] > summary::before { content: "\\25BE"; }
summary .time { margin-left: auto; color: var(--soft); font-size: 13px; font-variant-numeric: tabular-nums; }
details .body { padding: 8px 0 8px 22px; }
ol.path { list-style: none; margin: 8px 0 0; padding: 0; }
ol.path li { padding: 6px 0 6px 16px; border-left: 3px solid var(--path); margin-left: 4px; }
ol.path li.last { border-color: var(--accent); }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 0 0 10px;
  font-size: 13.5px; }
dl.facts dt { color: var(--soft); } dl.facts dd { margin: 0; }
footer { color: var(--soft); font-size: 13px; padding-bottom: 40px; }
@media (max-width: 640px) {
  main, header, footer { padding-left: 12px; padding-right: 12px; }
  section { padding: 14px 12px; }
  .row, .row.inner { grid-template-columns: 1fr auto; gap: 0 10px; margin-bottom: 6px; }
  .row > svg { grid-column: 1 / -1; grid-row: 2; }
  .row > .time { grid-column: 2; grid-row: 1; }
  .row.axis > .name, .row.axis > .time { display: none; }
  details .body { padding-left: 4px; }
  td.share, th.share { display: none; }
}
@media print {
  :root { color-scheme: light; --page: #fff; }
  body { font-size: 11px; }
  section { break-inside: auto; border-color: #bbb; }
  .row, tr, .problem header { break-inside: avoid; }
  pre { background: #f4f4f4; color: #111; }
  svg rect, svg line { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
