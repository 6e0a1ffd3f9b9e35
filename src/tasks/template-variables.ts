import type { Template } from "@huggingface/jinja";

/** Names that Jinja itself knows. */
const GLOBALS: ReadonlySet<string> = new Set(
  "range loop namespace raise_exception strftime_now true false none True False None".split(" "),
);

/** The fields that templates read. */
export interface TemplateVariables {
  /** Printed or counted on outright: a row without them is a bad row. */
  readonly required: Set<string>;
  /** Those that the template asks for first (`{% if x %}`, `x is defined`, `x | default("")`). */
  readonly optional: Set<string>;
}

/** Finds the variables of parsed templates that they do not set themselves. What is tested anywhere in a template is optional everywhere in it. */
export function templateVariables(templates: readonly Pick<Template, "parsed">[]): TemplateVariables {
  const used = new Set<string>();
  const optional = new Set<string>();
  const own = new Set(GLOBALS);
  for (const { parsed } of templates) visit(parsed, false);
  const free = (names: Set<string>) => new Set([...names].filter((name) => !own.has(name)));
  return {
    required: free(new Set([...used].filter((name) => !optional.has(name)))),
    optional: free(optional),
  };

  function visit(node: unknown, tested: boolean): void {
    if (node instanceof Map) {
      for (const [key, value] of node) visit([key, value], tested);
      return;
    }
    if (Array.isArray(node)) {
      for (const item of node) visit(item, tested);
      return;
    }
    if (typeof node !== "object" || node === null) return;
    const parts = new Map(Object.entries(node));
    const visitRest = (done: readonly string[]) => {
      for (const [name, part] of parts) if (!done.includes(name)) visit(part, tested);
    };
    switch (parts.get("type")) {
      case "Identifier":
        (tested ? optional : used).add(String(parts.get("value")));
        break;
      case "BinaryExpression":
      case "UnaryExpression":
        // The parser keeps the words `and`, `or`, `in` and `not` as identifiers there.
        visitRest(["operator"]);
        break;
      case "MemberExpression":
        visitRest(parts.get("computed") === true ? [] : ["property"]);
        break;
      case "KeywordArgumentExpression":
        visitRest(["key"]);
        break;
      case "FilterExpression": {
        const filter = parts.get("filter");
        visit(parts.get("operand"), tested || nameOf(filter) === "default");
        visit(argumentsOf(filter), tested);
        break;
      }
      case "FilterStatement":
        visit(argumentsOf(parts.get("filter")), tested);
        visitRest(["filter"]);
        break;
      case "TestExpression":
        visit(parts.get("operand"), true);
        break;
      case "If":
      case "SelectExpression":
        visit(parts.get("test"), true);
        visitRest(["test"]);
        break;
      case "Ternary":
        visit(parts.get("condition"), true);
        visitRest(["condition"]);
        break;
      case "For":
        declare(parts.get("loopvar"));
        visitRest(["loopvar"]);
        break;
      case "Set":
        declare(parts.get("assignee"));
        visitRest(["assignee"]);
        break;
      case "Macro":
        declare(parts.get("name"));
        declare(parts.get("args"));
        visitRest(["name", "args"]);
        break;
      default:
        visitRest([]);
    }
  }

  function declare(node: unknown): void {
    if (Array.isArray(node)) {
      for (const item of node) declare(item);
    } else if (typeof node === "object" && node !== null) {
      const { type, value, key } = fieldsOf(node);
      if (type === "Identifier" && typeof value === "string") own.add(value);
      else if (type === "KeywordArgumentExpression") declare(key);
      else if (type === "TupleLiteral") declare(value);
    }
  }
}

function fieldsOf(node: object): { readonly type?: unknown; readonly value?: unknown; readonly key?: unknown } {
  return { ...node };
}

function nameOf(filter: unknown): unknown {
  if (typeof filter !== "object" || filter === null) return undefined;
  const { type, value } = fieldsOf(filter);
  return type === "Identifier" ? value : nameOf(Reflect.get(filter, "callee"));
}

function argumentsOf(filter: unknown): unknown {
  return typeof filter === "object" && filter !== null ? Reflect.get(filter, "args") : undefined;
}
