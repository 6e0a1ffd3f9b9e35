import type { Cadre, ExpertSummary } from "../cadre/cadre.js";
import { CadreError, type ErrorCode } from "../core/errors.js";
import { nearMiss } from "../core/near-miss.js";
import { normalizeName } from "../library/expert-name.js";
import { quote } from "../tasks/row-values.js";
import { Refusal } from "./problem.js";

/** The library is read again at most this often, however many requests come and whatever they ask for. */
const REFRESH_MILLISECONDS = 5000;

/** With these the cadre refuses an expert that is no longer as the library was last read; a folder that is just being replaced looks damaged. */
const STALE: ReadonlySet<ErrorCode> = new Set(["mismatch", "not-found", "invalid-file"]);

/** A model of OpenAI's list, with what Cadre knows of its expert. */
export interface ModelEntry {
  readonly id: string;
  readonly object: "model";
  /** Unix time in seconds: of the expert's making, else of the handler's. */
  readonly created: number;
  readonly owned_by: "cadre";
  readonly expert?: Omit<ExpertSummary, "created">;
}

/** Who answers under a model's name. */
export interface ServedModel {
  /** The full name, whatever short form was asked for. */
  readonly id: string;
  /** For `AskOptions.experts`. */
  readonly experts: string;
}

/**
 * The names under which a cadre answers: `<base>`, `<base>:auto`, `<base>:<expert id>`, and their short forms `base`, `auto`, id or name. `<base>` is
 * the base's name, of a folder its own name without the way to it; the whole is understood, too.
 */
export interface ServedModels {
  /** All, with experts that were added to the library a moment ago. @throws Refusal 503 where it cannot be read; CadreError `closed`. */
  list(): Promise<readonly ModelEntry[]>;
  /** One of the list. @throws Refusal as `find`. */
  entry(name: string): Promise<ModelEntry>;
  /**
   * Looks into the library again before it gives up; where it need not, the library is looked into meanwhile, for those who come later.
   * @throws Refusal 404 with the name that was probably meant; as `list`.
   */
  find(name: string): Promise<ServedModel>;
  /**
   * Lets a model answer. Where the cadre finds that experts were replaced or removed since the library was read, it is read again, and the work is
   * done once more.
   * @throws Refusal as `find`; what the work throws, the second time where there is one.
   */
  ask<Answer>(name: string, work: (model: ServedModel) => Promise<Answer>): Promise<Answer>;
}

/** The models of a cadre. */
export function createModels(cadre: Cadre): ServedModels {
  const created = Math.floor(Date.now() / 1000);
  let readAt = Number.NEGATIVE_INFINITY;
  let readings = 0;
  let reading: Promise<void> | undefined;

  const read = (): Promise<void> => {
    reading ??= cadre
      .refresh()
      .then(
        () => {
          readAt = performance.now();
          readings += 1;
        },
        (error: unknown) => {
          throw unreadable(error);
        },
      )
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };
  const refresh = async (): Promise<void> => {
    if (performance.now() - readAt >= REFRESH_MILLISECONDS) await read();
  };

  const find = async (name: string): Promise<ServedModel> => {
    const known = findModel(cadre, name);
    if (known !== undefined) {
      // Who needs the library's files is told what is wrong with them; this request may not.
      void refresh().catch(() => {});
      return known;
    }
    await refresh();
    const found = findModel(cadre, name);
    if (found === undefined) throw unknownModel(cadre, name);
    return found;
  };

  return {
    find,
    ask: async (name, work) => {
      const model = await find(name);
      const before = readings;
      try {
        return await work(model);
      } catch (error) {
        if (!CadreError.isInstance(error) || !STALE.has(error.code)) throw error;
        if (readings === before) await read();
        return await work(await find(name));
      }
    },
    entry: async (name) => {
      const { id } = await find(name);
      const [entry] = listModels(cadre, created).filter((candidate) => candidate.id === id);
      if (entry === undefined) throw unknownModel(cadre, name);
      return entry;
    },
    list: async () => {
      await refresh();
      return listModels(cadre, created);
    },
  };
}

/** The name of a base for clients: of a folder its own name, as the way to it is the server's business. */
function servedBase({ base }: Pick<Cadre, "base">): string {
  if (!/^(?:[a-z]:)?[/\\]/i.test(base)) return base;
  return base.split(/[/\\]/).findLast((part) => part !== "") ?? "base";
}

function listModels(cadre: Cadre, created: number): readonly ModelEntry[] {
  const base = servedBase(cadre);
  const entry = (id: string): ModelEntry => ({ id, object: "model", created, owned_by: "cadre" });
  return [
    entry(base),
    entry(`${base}:auto`),
    ...cadre.experts.map(({ created: made, ...expert }) => ({
      ...entry(`${base}:${expert.id}`),
      created: Math.floor(Date.parse(made) / 1000),
      expert,
    })),
  ];
}

function findModel(cadre: Cadre, name: string): ServedModel | undefined {
  const { experts } = cadre;
  const base = servedBase(cadre);
  if (name === base || name === cadre.base || name === "base") return { id: base, experts: "base" };
  const prefix = [base, cadre.base].map((known) => `${known}:`).find((known) => name.startsWith(known)) ?? "";
  const short = name.slice(prefix.length);
  if (short === "auto") return { id: `${base}:auto`, experts: "auto" };
  const expert =
    experts.find(({ id }) => id === short) ?? experts.find((candidate) => candidate.name === normalizeName(short));
  return expert === undefined ? undefined : { id: `${base}:${expert.id}`, experts: expert.id };
}

function unknownModel(cadre: Cadre, name: string): Refusal {
  const base = servedBase(cadre);
  const ids = cadre.experts.flatMap(({ id, name: own }) => [id, own, `${base}:${id}`]);
  const meant = nearMiss(name, ["auto", base, `${base}:auto`, ...ids]);
  const hint = meant === undefined ? "" : ` Did you mean ${quote(meant)}?`;
  return new Refusal({
    status: 404,
    message: `model: there is no ${quote(name)}.${hint} GET /v1/models lists what there is`,
    param: "model",
    code: "model_not_found",
  });
}

function unreadable(error: unknown): unknown {
  if (CadreError.isInstance(error) && error.code === "closed") return error;
  return new Refusal(
    { status: 503, message: "the library cannot be read now; the server's log says why", code: "library_unreadable" },
    { cause: error },
  );
}
