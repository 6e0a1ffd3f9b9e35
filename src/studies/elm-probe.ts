import * as z from "zod";

/** What a fresh process is asked. */
export const probeQuestionSchema = z.object({
  base: z.string(),
  library: z.string(),
  /** Where the answers go. */
  answers: z.string(),
  threads: z.int().positive(),
  inputLength: z.int().positive(),
  rows: z.array(z.object({ key: z.string(), input: z.string(), choices: z.array(z.string()).min(2) })),
});
/** See {@link probeQuestionSchema}. */
export type ProbeQuestion = z.output<typeof probeQuestionSchema>;

/** The expert that each row was routed to, and its score of each choice; JSON keeps every bit of a finite number. */
export const probeAnswersSchema = z.array(
  z.object({ key: z.string(), expert: z.string(), scores: z.array(z.number()) }),
);
/** See {@link probeAnswersSchema}. */
export type ProbeAnswers = z.output<typeof probeAnswersSchema>;

/** What adding an expert did to rows of tasks that had theirs already. */
export interface LedgerEntry {
  /** The expert that was added. */
  readonly added: string;
  readonly rows: number;
  /** Rows whose route stays. */
  readonly kept: number;
  /** Of these, those with the very same bits. */
  readonly identical: number;
  readonly changed: readonly { readonly row: string; readonly from: string; readonly to: string }[];
}

/** Compares the answers before and after an expert was added. Rows that were not asked before are passed over. */
export function ledgerEntry(added: string, before: ProbeAnswers, after: ProbeAnswers): LedgerEntry {
  const later = new Map(after.map((answer) => [answer.key, answer]));
  const pairs = before.flatMap((earlier) => {
    const now = later.get(earlier.key);
    return now === undefined ? [] : [{ earlier, now }];
  });
  const kept = pairs.filter(({ earlier, now }) => earlier.expert === now.expert);
  return {
    added,
    rows: pairs.length,
    kept: kept.length,
    identical: kept.filter(
      ({ earlier, now }) =>
        earlier.scores.length === now.scores.length &&
        earlier.scores.every((score, index) => Object.is(score, now.scores[index])),
    ).length,
    changed: pairs.flatMap(({ earlier, now }) =>
      earlier.expert === now.expert ? [] : [{ row: earlier.key, from: earlier.expert, to: now.expert }],
    ),
  };
}
