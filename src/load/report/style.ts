// The HTML report's style sheet.

export const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --faint: #697586; --paper: #fff; --line: #d9dee6; --band: #eef2f7;
  --good: #12805c; --bad: #c62a2f;
  --c0: #1f6feb; --c1: #d9480f; --c2: #12805c; --c3: #8250df; --c4: #b58900; --c5: #d6336c; --c6: #0b7285; --c7: #6b4f2a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --faint: #93a0b2; --paper: #12161c; --line: #2c3540;
  --band: #1a212a; --good: #4cc38a; --bad: #ff6369; --c0: #6cb0ff; --c1: #ff8f57; --c2: #4cc38a; --c3: #b794f6;
  --c4: #e5c453; --c5: #ff7eb0; --c6: #5fd3e0; --c7: #c9a26d; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1000px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1rem; margin: 2rem 0 .4rem; }
.where { color: var(--faint); font-size: .85rem; } .note { color: var(--bad); }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: .5rem .9rem; font-size: .8rem; color: var(--faint); }
.tile b { display: block; font-size: 1.35rem; color: var(--ink); } .good b { color: var(--good); } .bad b { color: var(--bad); }
figure { margin: 1.6rem 0; } figcaption { font-weight: 600; } svg { width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--faint); }
.grid { stroke: var(--line); } .band0 { fill: var(--band); } .band1 { fill: transparent; } .bar { fill: var(--c0); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .line.thin { stroke-width: 1; }
${[0, 1, 2, 3, 4, 5, 6, 7].map((n) => `.line.c${n} { stroke: var(--c${n}); } i.c${n} { background: var(--c${n}); }`).join("\n")}
.legend { display: flex; flex-wrap: wrap; gap: 1rem; font-size: .85rem; padding-left: 70px; }
.legend i { display: inline-block; width: 18px; height: 3px; margin-right: 6px; vertical-align: middle; } .legend i.thin { height: 1px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .88rem; }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } td:last-child { white-space: normal; } th { color: var(--faint); font-weight: 500; }
`;
