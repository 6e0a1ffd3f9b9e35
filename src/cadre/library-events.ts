import type { AdjustmentKind } from "../routing/adjustment.js";
import type { TrainingEvent } from "../training/events.js";
import type { ExpertScore } from "./expert-score.js";

/** Which training an event is about. */
interface OfTraining {
  /** Name of the expert: its task's, with ` / template` behind it where it knows one template; `multitask` and `multitask, one budget`. */
  readonly task: string;
  /** Its number from 1, among all trainings of the call. */
  readonly index: number;
  readonly of: number;
}

/** Sent before a training begins or goes on. */
export interface TaskStartEvent extends OfTraining {
  readonly type: "task-start";
  readonly steps: number;
  readonly trainRows: number;
  /** Scored while it trains. */
  readonly validationRows: number;
  /** Training rows of which something was cut, and rows above the recipe's `maxRows`. */
  readonly truncatedRows: number;
  readonly rowsOverLimit: number;
  readonly flopsPerStep: number;
}

/** Sent once a model is stored. */
export interface TaskEndEvent extends OfTraining {
  readonly type: "task-end";
  /** Its id in the library; of `multitask, one budget` its folder. */
  readonly id: string;
  /** Steps done. */
  readonly steps: number;
  /** Wall time of this process. */
  readonly seconds: number;
  /** On the validation rows. */
  readonly score: ExpertScore;
}

/** Sent instead of both where the very same training's model was there already. */
export interface TaskKeptEvent extends OfTraining {
  readonly type: "task-kept";
  readonly id: string;
}

/** Sent where a task cannot be trained; the others go on. */
export interface TaskFailedEvent extends OfTraining {
  readonly type: "task-failed";
  readonly reason: string;
}

/** Sent where a multitask model was asked for and there are not two experts' data to make it from. */
export interface MultitaskSkippedEvent {
  readonly type: "multitask-skipped";
  readonly reason: string;
}

/** Sent when the library's routing has been chosen and recorded. */
export interface RoutingChosenEvent {
  readonly type: "routing-chosen";
  readonly adjustment: AdjustmentKind;
  /** Share of the validation inputs that find their own expert, by each adjustment that was tried, 0 to 1. */
  readonly accuracies: Readonly<Partial<Record<AdjustmentKind, number>>>;
}

/** What `trainIntoLibrary` tells its handler; a training's own events carry its `task`. */
export type TrainIntoLibraryEvent =
  | TaskStartEvent
  | (TrainingEvent & { readonly task: string })
  | TaskEndEvent
  | TaskKeptEvent
  | TaskFailedEvent
  | MultitaskSkippedEvent
  | RoutingChosenEvent;
