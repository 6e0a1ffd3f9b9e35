import type { WeightedExpert } from "../models/packed-batch.js";
import type { RoutingText } from "./text-format.js";

/** A key that was among the nearest of a query. */
export interface NearKey {
  /** The expert whose key it is. */
  readonly expert: string;
  /** Which of the expert's keys, from 0. */
  readonly key: number;
  /** Cosine similarity in [-1, 1] for embeddings, or the score of BM25; higher is nearer. */
  readonly score: number;
}

/** What a query found. */
export interface QueryTrace {
  /** Position of the query in the list that was routed. */
  readonly query: number;
  /** The keys that voted, nearest first; of equally near ones the first in the order of expert id and key. */
  readonly nearest: readonly NearKey[];
}

/** An expert and the keys that voted for it. */
export interface RankedExpert {
  readonly id: string;
  readonly votes: number;
}

/** The result of routing. */
export interface Routing {
  /** The experts that answer, the best first; weights are their shares of these experts' votes and add up to 1. */
  readonly experts: readonly WeightedExpert[];
  /** Every expert with a vote, most votes first; of equal ones the one that was voted for first. */
  readonly ranking: readonly RankedExpert[];
  /** Why: what every query found, in the order of the queries. */
  readonly trace: readonly QueryTrace[];
}

/** Options of a call. */
export interface RouteOptions {
  /** Takes effect between two batches. */
  readonly signal?: AbortSignal;
}

/** Text in, weights over experts out. */
export interface Router {
  /**
   * One routing for texts of one task, by a vote among them (RoE: Jang et al. 2023).
   * @throws CadreError `invalid-argument` without texts; `aborted`.
   */
  routeTask(texts: readonly RoutingText[], options?: RouteOptions): Promise<Routing>;
  /** A routing for each text by itself; none for none. */
  routeEach(texts: readonly RoutingText[], options?: RouteOptions): Promise<Routing[]>;
}
