import type { UserTask } from "./user-task.js";

/** A task of examples that a program made: there are no bad rows, leaks or unused fields to report. */
export function madeUserTask(task: Omit<UserTask, "problems" | "problemCounts" | "leaks" | "unusedFields">): UserTask {
  return { ...task, problems: [], problemCounts: {}, leaks: [], unusedFields: [] };
}
