import { DARK_VARIABLES, LIGHT_VARIABLES, PICTURE_STYLE } from "./svg.js";

/** The style of a report's page: light, dark, phone and print. */
export const PAGE_STYLE = `
:root{color-scheme:light dark;${LIGHT_VARIABLES}}
@media (prefers-color-scheme:dark){:root{${DARK_VARIABLES}}}
@media print{:root{color-scheme:light;${LIGHT_VARIABLES}}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
  overflow-wrap:anywhere}
main{max-width:864px;margin:0 auto;padding:40px 24px 64px}
h1{font-size:30px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:21px;line-height:1.3;margin:48px 0 12px;padding-top:16px;border-top:1px solid var(--line)}
p{margin:0 0 14px;max-width:72ch}
a{color:var(--c0)}
.subtitle{font-size:18px;color:var(--muted);margin:0 0 4px}
.date{font-size:14px;color:var(--muted)}
nav ol{margin:20px 0 0;padding-left:24px}
.block{margin:0 0 28px;padding:0}
.scroll{overflow-x:auto}
.scroll:focus-visible{outline:2px solid var(--c0);outline-offset:2px}
figure.picture-block{border:1px solid var(--line);border-radius:8px}
figure svg{display:block;height:auto;max-width:none;width:100%;min-width:580px}
table{border-collapse:collapse;font-size:14.5px;font-variant-numeric:tabular-nums;min-width:50%;overflow-wrap:normal}
caption{text-align:left;color:var(--muted);padding:0 0 8px}
th,td{padding:6px 14px 6px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--faint)}
th{font-weight:600;vertical-align:bottom;border-bottom:1px solid var(--muted)}
td.right,th.right{text-align:right;padding:6px 0 6px 18px}
th:first-child,td:first-child{min-width:17ch}td.right{white-space:nowrap}td.right+td:not(.right),th.right+th:not(.right){padding-left:14px}
td strong{color:var(--c0)}
@media (max-width:600px){main{padding:24px 16px 48px}h1{font-size:24px}h2{font-size:19px;margin-top:36px}}
@media print{main{max-width:none;padding:0}.block{break-inside:avoid}h2{break-after:avoid}.scroll{overflow:visible}figure svg{min-width:0}}
${PICTURE_STYLE}
`;
