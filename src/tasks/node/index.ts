/**
 * Tasks: a person's own files, and generated ones: `cadre/tasks`.
 * @module
 */
export { generatedUserTask } from "../generated/generated-user-task.js";
export { findGeneratedTask, type GeneratedTask, generatedTasks, generateTask } from "../generated/index.js";
export type { Example, Instance, Task } from "../task.js";
export { renderExample, renderTemplate } from "../template.js";
export type { UserExample, UserTask } from "../user-task.js";
export { type FailedTask, type ReadUserTasksOptions, readUserTasks, type UserTasks } from "./read-user-tasks.js";
