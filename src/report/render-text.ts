import { formatTable } from "./format.js";
import { isPicture, type Report, type TableBlock } from "./report.js";
import { splitText } from "./split-text.js";

/** Marks what HTML sets in bold. */
const BEST = "*";

/** A report for a terminal: tables in columns, the best values marked by `*`; pictures are left out. Control characters in names become spaces. */
export function renderText({ title, subtitle, sections }: Report): string {
  const parts = [title, ...(subtitle === undefined ? [] : [subtitle])].map(plain);
  for (const { title: heading, blocks } of sections) {
    const shown = blocks.flatMap((block) =>
      isPicture(block) ? [] : block.type === "table" ? renderTextTable(block) : renderParagraphs(block.text),
    );
    if (shown.length > 0) {
      const name = plain(heading);
      parts.push(`${name}\n${"─".repeat(width(name))}`, ...shown);
    }
  }
  return `${parts.join("\n\n")}\n`;
}

/** A table in columns that are two spaces apart, its caption above. */
export function renderTextTable(block: TableBlock): string {
  const { columns, rows } = formatTable(block);
  const hasBest = columns.map((_, index) => rows.some((row) => row[index]?.best));
  const cells = [
    columns.map(({ title }, index) => plain(title) + (hasBest[index] ? " " : "")),
    ...rows.map((row) => row.map(({ text, best }, index) => plain(text) + (best ? BEST : hasBest[index] ? " " : ""))),
  ];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => width(row[index] ?? ""))));
  const [head = "", ...lines] = cells.map((row) =>
    row
      .map((text, index) => {
        const gap = " ".repeat((widths[index] ?? 0) - width(text));
        return columns[index]?.align === "right" ? gap + text : text + gap;
      })
      .join("  ")
      .trimEnd(),
  );
  const rule = widths.map((size) => "─".repeat(size)).join("  ");
  const caption = block.caption === undefined || block.caption === "" ? [] : [plain(block.caption)];
  return [...caption, head, rule, ...lines].join("\n");
}

function renderParagraphs(text: string): string {
  return splitText(text)
    .map((parts) => plain(parts.map((part) => part.text).join("")))
    .join("\n\n");
}

/** In one line; a name from outside must not move the cursor. */
function plain(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, " ");
}

/** Places in a terminal, which most characters take one of. */
function width(text: string): number {
  return Array.from(text).length;
}
