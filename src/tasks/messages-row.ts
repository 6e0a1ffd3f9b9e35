import { describe, textOf } from "./row-values.js";
import type { Problem } from "./user-task.js";

interface Message {
  readonly role: string;
  readonly text: string;
}

const SYSTEM_ROLES: ReadonlySet<string> = new Set(["system", "developer"]);

/**
 * Input and target of a conversation in OpenAI's form, `[{ role, content }]`: the last message, which must be the assistant's, is the target. A single
 * question is the input as it is; of several turns each begins with `user: ` or `assistant: `. What the system says stands first. Parts are divided by
 * empty lines.
 */
export function readMessages(
  value: unknown,
): { readonly input: string; readonly targets: readonly string[] } | { readonly problem: Problem } {
  const list: unknown = typeof value === "string" ? parsed(value) : value;
  if (!Array.isArray(list)) return wrong(`messages: expected a list of { role, content }, found ${describe(value)}`);
  const messages: Message[] = [];
  for (const [index, item] of list.entries()) {
    const message = readMessage(item, `messages[${index}]`);
    if ("problem" in message) return message;
    messages.push(message);
  }
  const answer = messages.pop();
  if (answer?.role !== "assistant") {
    return wrong("messages: expected the last one to be the assistant's, as it is what the model learns to say");
  }
  const target = answer.text.trim();
  if (target === "") {
    return { problem: { kind: "empty-target", problem: "messages: expected an answer, found an empty text" } };
  }
  const system = messages.filter(({ role }) => SYSTEM_ROLES.has(role));
  const turns = messages.filter(({ role }) => !SYSTEM_ROLES.has(role));
  const texts = turns.length === 1 ? turns.map(({ text }) => text) : turns.map(({ role, text }) => `${role}: ${text}`);
  return { input: [...system.map(({ text }) => text), ...texts].join("\n\n"), targets: [target] };
}

function readMessage(value: unknown, where: string): Message | { readonly problem: Problem } {
  if (typeof value !== "object" || value === null)
    return wrong(`${where}: expected { role, content }, found ${describe(value)}`);
  const role: unknown = Reflect.get(value, "role");
  if (role !== "user" && role !== "assistant" && !(typeof role === "string" && SYSTEM_ROLES.has(role))) {
    return wrong(`${where}.role: expected system, user or assistant, found ${describe(role)}`);
  }
  const content: unknown = Reflect.get(value, "content");
  if (!Array.isArray(content)) {
    const text = textOf(content, `${where}.content`);
    return "problem" in text ? text : { role, text: text.text };
  }
  const texts: string[] = [];
  for (const part of content) {
    const isText = typeof part === "object" && part !== null && Reflect.get(part, "type") === "text";
    const text = isText ? textOf(Reflect.get(part, "text"), `${where}.content`) : undefined;
    if (text === undefined) return wrong(`${where}.content: expected text, found a part of another type`);
    if ("problem" in text) return text;
    texts.push(text.text);
  }
  return { role, text: texts.join("\n") };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function wrong(problem: string): { readonly problem: Problem } {
  return { problem: { kind: "wrong-value", problem } };
}
