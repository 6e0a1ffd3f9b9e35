/**
 * Tasks: a person's own files, and generated ones: `cadre/tasks`.
 * @module
 */
export type { UserTaskOptions } from "../build-user-task.js";
export { generatedUserTask } from "../generated/generated-user-task.js";
export { findGeneratedTask, type GeneratedTask, generatedTasks, generateTask } from "../generated/index.js";
export type { Example, Instance, Task } from "../task.js";
export { renderExample, renderTemplate } from "../template.js";
export type {
  ChoicesFrom,
  Leak,
  LeftOutRow,
  Problem,
  ProblemKind,
  RowPlace,
  RowProblem,
  SplitName,
  UserExample,
  UserTask,
  UserTaskTemplate,
} from "../user-task.js";
export type { TemplateOptions } from "../user-template.js";
export type { SkippedFile } from "./find-user-tasks.js";
export { type FailedTask, type ReadUserTasksOptions, readUserTasks, type UserTasks } from "./read-user-tasks.js";
