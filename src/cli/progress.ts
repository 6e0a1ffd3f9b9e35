import { Presets, SingleBar } from "cli-progress";

/** How often a line is written where there is no terminal, in milliseconds. */
const LINE_INTERVAL = 5000;

/** Shows how far a long work is: a bar on a terminal, now and then a plain line elsewhere. Writes to stderr. */
export interface Progress {
  /** `done` of the total, with a few words about the state. */
  update(done: number, text: string): void;
  /** Removes the bar. */
  stop(): void;
}

/** Starts a progress display. */
export function startProgress({ title, total }: { readonly title: string; readonly total: number }): Progress {
  if (!process.stderr.isTTY) {
    let next = 0;
    return {
      update(done, text) {
        const now = performance.now();
        if (now >= next) {
          next = now + LINE_INTERVAL;
          console.error(`${title}  ${Math.round((100 * done) / total)} %  ${text}`);
        }
      },
      stop() {},
    };
  }
  const bar = new SingleBar(
    {
      format: `${title} {bar} {percentage} %  {text}`,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
    },
    Presets.shades_classic,
  );
  bar.start(total, 0, { text: "" });
  return {
    update(done, text) {
      bar.update(Math.min(done, total), { text });
    },
    stop() {
      bar.stop();
    },
  };
}
