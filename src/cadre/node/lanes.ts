import type { AnswerGroup } from "../answer-group.js";

/** Something that answers rows of a group, one batch after the other. */
export interface Lane {
  close(): Promise<void>;
}

/** The lanes of groups, opened when they are needed. */
export interface Lanes<Kind extends Lane> {
  /** Lets a lane work; it stays open as long. */
  use<Result>(group: AnswerGroup, work: (lane: Kind) => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
}

/** Lanes that are kept: each holds programs with their activations. */
const MOST_LANES = 8;
/** Weights of whole models that are kept: each has a lane of its own. Opening one anew takes as long as many answers. */
const MOST_FULL_BYTES = 512 * 2 ** 20;
/** Kept however large they are. */
const LEAST_FULL_LANES = 2;

/**
 * @param options.open opens the lane of a group; nothing is computed or copied before its first work
 * @param options.modelBytes of the weights of a whole model
 */
export function createLanes<Kind extends Lane>({
  open,
  modelBytes,
}: {
  readonly open: (group: AnswerGroup) => Kind;
  readonly modelBytes: number;
}): Lanes<Kind> {
  const mostFull = Math.max(LEAST_FULL_LANES, Math.floor(MOST_FULL_BYTES / modelBytes));
  /** The one that was used least recently first. */
  const lanes = new Map<string, { readonly lane: Kind; readonly isFull: boolean; users: number }>();

  const closeIdle = async (isFull: boolean): Promise<void> => {
    const same = [...lanes].filter(([, one]) => one.isFull === isFull);
    const most = isFull ? mostFull : MOST_LANES;
    const idle = same.slice(0, Math.max(0, same.length - most)).filter(([, { users }]) => users === 0);
    for (const [key] of idle) lanes.delete(key);
    for (const [, { lane }] of idle) await lane.close();
  };

  return {
    async use(group, work) {
      const isFull = group.kind === "full";
      const one = lanes.get(group.key) ?? { lane: open(group), isFull, users: 0 };
      lanes.delete(group.key);
      lanes.set(group.key, one);
      one.users++;
      try {
        await closeIdle(isFull);
        return await work(one.lane);
      } finally {
        one.users--;
      }
    },
    async close() {
      const all = [...lanes.values()];
      lanes.clear();
      for (const { lane } of all) await lane.close();
    },
  };
}
