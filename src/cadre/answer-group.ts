import { CadreError } from "../core/errors.js";
import { groupBy } from "../core/group-by.js";
import { powerOfTwo } from "../core/numbers.js";
import type { LoadedExpert } from "./expert-stack.js";

/** An expert that was read, and how much it counts. */
export interface AnsweringExpert {
  readonly expert: LoadedExpert;
  readonly weight: number;
}

/** Rows of one group can be answered by one program. */
export type AnswerGroup =
  | { readonly kind: "base"; readonly key: string }
  /** All weights are the expert's own. */
  | { readonly kind: "full"; readonly key: string; readonly expert: LoadedExpert }
  /** Experts that can be stacked; at most `perRow` of one kind for a row. */
  | { readonly kind: "stacked"; readonly key: string; readonly perRow: number };

/**
 * The group of a row that these experts answer. Experts of different kinds are kept apart, as every kind in a program costs all of its rows; so are
 * (IA)³ experts of different configurations, which may scale different sides of a projection.
 * @throws CadreError `unsupported` for a model with weights of its own in a list.
 */
export function answerGroupOf(experts: readonly AnsweringExpert[]): AnswerGroup {
  const [first] = experts;
  if (first === undefined) return { kind: "base", key: "base" };
  const whole = experts.find(({ expert }) => expert.delta === undefined);
  if (whole !== undefined) {
    if (experts.length > 1 || whole.weight !== 1) {
      throw new CadreError(
        "unsupported",
        `experts: expected ${JSON.stringify(whole.expert.id)} alone and with weight 1, as all of its weights are its own; leave the others out`,
      );
    }
    return { kind: "full", key: `full ${whole.expert.key}`, expert: whole.expert };
  }
  const kinds = groupBy(experts, ({ expert: { delta } }) =>
    delta?.kind === "ia3" ? JSON.stringify(delta) : (delta?.kind ?? "full"),
  );
  const perRow = powerOfTwo(Math.max(...[...kinds.values()].map(({ length }) => length)));
  return { kind: "stacked", key: JSON.stringify([perRow, ...[...kinds.keys()].sort()]), perRow };
}
