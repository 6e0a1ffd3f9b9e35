import type { Cadre, ExpertSummary } from "../cadre/cadre.js";
import { nearMiss } from "../core/near-miss.js";
import { normalizeName } from "../library/expert-name.js";
import { quote } from "../tasks/row-values.js";
import { Refusal } from "./problem.js";

/** The library is read again at most this often, however many unknown models are asked for. */
const REFRESH_MILLISECONDS = 5000;

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

/** The names under which a cadre answers: `<base>`, `<base>:auto`, `<base>:<expert id>`, and their short forms `base`, `auto`, id or name. */
export interface ServedModels {
  /** All, with experts that were added to the library a moment ago. @throws CadreError as `Cadre.refresh`. */
  list(): Promise<readonly ModelEntry[]>;
  /** One of the list. @throws Refusal as `find`. */
  entry(name: string): Promise<ModelEntry>;
  /** Looks into the library again before it gives up. @throws Refusal 404 with the name that was probably meant. */
  find(name: string): Promise<ServedModel>;
}

/** The models of a cadre. */
export function createModels(cadre: Cadre): ServedModels {
  const created = Math.floor(Date.now() / 1000);
  let refreshedAt = Number.NEGATIVE_INFINITY;
  let refreshing: Promise<void> | undefined;

  const refresh = async (): Promise<void> => {
    if (performance.now() - refreshedAt < REFRESH_MILLISECONDS) return;
    refreshing ??= cadre
      .refresh()
      .then(() => {
        refreshedAt = performance.now();
      })
      .finally(() => {
        refreshing = undefined;
      });
    await refreshing;
  };

  const find = async (name: string): Promise<ServedModel> => {
    const known = findModel(cadre, name);
    if (known !== undefined) return known;
    await refresh();
    const found = findModel(cadre, name);
    if (found === undefined) throw unknownModel(cadre, name);
    return found;
  };

  return {
    find,
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

function listModels({ base, experts }: Cadre, created: number): readonly ModelEntry[] {
  const entry = (id: string): ModelEntry => ({ id, object: "model", created, owned_by: "cadre" });
  return [
    entry(base),
    entry(`${base}:auto`),
    ...experts.map(({ created: made, ...expert }) => ({
      ...entry(`${base}:${expert.id}`),
      created: Math.floor(Date.parse(made) / 1000),
      expert,
    })),
  ];
}

function findModel({ base, experts }: Cadre, name: string): ServedModel | undefined {
  if (name === base || name === "base") return { id: base, experts: "base" };
  const short = name.startsWith(`${base}:`) ? name.slice(base.length + 1) : name;
  if (short === "auto") return { id: `${base}:auto`, experts: "auto" };
  const expert =
    experts.find(({ id }) => id === short) ?? experts.find((candidate) => candidate.name === normalizeName(short));
  return expert === undefined ? undefined : { id: `${base}:${expert.id}`, experts: expert.id };
}

function unknownModel({ base, experts }: Cadre, name: string): Refusal {
  const ids = experts.flatMap(({ id, name: own }) => [id, own, `${base}:${id}`]);
  const meant = nearMiss(name, ["auto", base, `${base}:auto`, ...ids]);
  const hint = meant === undefined ? "" : ` Did you mean ${quote(meant)}?`;
  return new Refusal({
    status: 404,
    message: `model: there is no ${quote(name)}.${hint} GET /v1/models lists what there is`,
    param: "model",
    code: "model_not_found",
  });
}
