import { Environment, Interpreter, parse, type Template, tokenize } from "@huggingface/jinja";
import { CadreError } from "../../core/errors.js";
import { templateVariables } from "../template-variables.js";
import {
  type Choose,
  JINJA_FUNCTIONS,
  JINJA_METHODS,
  JINJA_OPERATORS,
  jinjaFilters,
  MOST_ARGUMENTS,
} from "./jinja-helpers.js";

/** A template that renders as Jinja does under Python. */
export interface PythonJinja {
  /** The fields that it reads. */
  readonly fields: ReadonlySet<string>;
  /**
   * Renders it over values as JSON has them.
   * @param choose what the filter `choice` decides by
   * @throws CadreError `invalid-file` for values that do not fit the template; `details.field` says which, where that is known.
   */
  render(values: Readonly<Record<string, unknown>>, choose: Choose): string;
}

/** A node of the syntax tree. */
interface Node {
  readonly type: string;
  readonly [part: string]: unknown;
}

/** Parts of statements that hold what is printed. */
const BLOCKS = new Set(["body", "alternate", "defaultBlock"]);
/** Nodes in blocks that print by themselves, or nothing. */
const STATEMENTS = new Set(
  "StringLiteral If For Set Macro CallStatement FilterStatement Break Continue Comment".split(" "),
);
const OPERATORS = new Map<unknown, string>([
  ["==", "equal"],
  ["!=", "differs"],
]);
// No field has a space in its name that a template could write.
const nameOf = (kind: "filter" | "method" | "operator", name: string) => `${kind} ${name}`;
const FILTERS = new Set(Object.keys(jinjaFilters(() => 0)));

/**
 * Compiles a template by `@huggingface/jinja` with the white space rules of Jinja's own defaults, which promptsource has. Its syntax tree is changed so
 * that filters, methods and operators which that library lacks, or runs by JavaScript's rules, call helpers of ours, and so that printing a value that is
 * not there is an error (under Python it prints nothing, or "None").
 * @throws CadreError `invalid-file` for what is no Jinja.
 */
export function compilePythonJinja(text: string): PythonJinja {
  const { fields, program } = parseTemplate(text);
  return {
    fields,
    render(values, choose) {
      try {
        const environment = new Environment(globalEnvironment(choose));
        for (const field of fields) environment.set(field, values[field]);
        return new Interpreter(environment).run(program).toString();
      } catch (error) {
        if (CadreError.isInstance(error)) throw error;
        throw new CadreError("invalid-file", error instanceof Error ? error.message : String(error), { cause: error });
      }
    },
  };
}

/** Also templates that are nested too deep for the stack end here. */
function parseTemplate(text: string): {
  readonly fields: ReadonlySet<string>;
  readonly program: Template["parsed"];
} {
  try {
    const parsed = parse(tokenize(text));
    const { required, optional } = templateVariables([{ parsed }]);
    const fields = [...required, ...optional].filter((name) => !Object.hasOwn(JINJA_FUNCTIONS, name));
    // Rewriting keeps the kinds of nodes; the library does not export their types.
    return { fields: new Set(fields), program: rewrite(parsed) as Template["parsed"] };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CadreError("invalid-file", `expected Jinja: ${reason}`, { cause });
  }
}

function globalEnvironment(choose: Choose): Environment {
  const environment = new Environment();
  for (const [name, value] of Object.entries({ true: true, false: false, none: null })) {
    environment.set(name, value);
    environment.set(name[0]?.toUpperCase() + name.slice(1), value);
  }
  const add = (name: string, run: (...values: readonly unknown[]) => unknown) =>
    environment.set(name, (...values: readonly unknown[]) => run(...values.map(plainValue)));
  for (const [name, run] of Object.entries(JINJA_FUNCTIONS)) add(name, run);
  const helpers = { filter: jinjaFilters(choose), method: JINJA_METHODS, operator: JINJA_OPERATORS };
  for (const kind of ["filter", "method", "operator"] as const) {
    for (const [name, run] of Object.entries(helpers[kind])) {
      add(nameOf(kind, name), (field, value, ...rest) => run(String(field), value, ...rest));
    }
  }
  return environment;
}

/** A value of the interpreter, whose lists and objects hold wrapped ones, as JSON has it. */
function plainValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unwrap);
  return value instanceof Map ? Object.fromEntries([...value].map(([key, item]) => [key, unwrap(item)])) : value;
}

function unwrap(wrapped: unknown): unknown {
  return typeof wrapped === "object" && wrapped !== null ? plainValue(Reflect.get(wrapped, "value")) : wrapped;
}

function rewrite(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(rewrite);
  if (node instanceof Map) return new Map([...node].map(([key, value]) => [rewrite(key), rewrite(value)]));
  if (!isNode(node)) return node;
  const parts: Node = {
    ...Object.fromEntries(
      Object.entries(node).map(([name, part]) => [
        name,
        BLOCKS.has(name) && Array.isArray(part) ? part.map(rewritePrinted) : rewrite(part),
      ]),
    ),
    type: node.type,
  };
  switch (node.type) {
    case "FilterExpression":
      return rewriteFilter(parts, describeNode(node.operand));
    case "CallExpression":
      return rewriteCall(parts, node.callee);
    case "MemberExpression":
      return rewriteMember(parts, node);
    case "BinaryExpression": {
      const operator = OPERATORS.get(identifierValue(node.operator));
      return operator === undefined
        ? parts
        : call("operator", operator, [literal(describeNode(node)), parts.left, parts.right]);
    }
    case "For": {
      const { iterable } = parts;
      const isFiltered = isNode(iterable) && iterable.type === "SelectExpression";
      return isFiltered ? parts : { ...parts, iterable: thereOf(node.iterable, iterable) };
    }
    default:
      return parts;
  }
}

/** What a block prints goes through Python's `str`; `{{ a if b }}` prints nothing where `b` is false. */
function rewritePrinted(node: unknown): unknown {
  const rewritten = rewrite(node);
  if (!isNode(node) || !isNode(rewritten) || STATEMENTS.has(node.type)) return rewritten;
  const print = (from: unknown, value: unknown) => call("operator", "text", [literal(describeNode(from)), value]);
  return node.type === "SelectExpression"
    ? { ...rewritten, lhs: print(node.lhs, rewritten.lhs) }
    : print(node, rewritten);
}

function rewriteFilter(node: Node, field: string): unknown {
  const { filter } = node;
  if (!isNode(filter)) return node;
  const name = String(identifierValue(filter.type === "CallExpression" ? filter.callee : filter));
  const given = filter.type === "CallExpression" && Array.isArray(filter.args) ? filter.args : [];
  return FILTERS.has(name) && isWithin(name, given)
    ? call("filter", name, [literal(field), node.operand, ...given])
    : node;
}

function rewriteCall(node: Node, callee: unknown): unknown {
  if (!isNode(callee) || callee.type !== "MemberExpression" || callee.computed === true) return node;
  const name = String(identifierValue(callee.property));
  if (!Object.hasOwn(JINJA_METHODS, name) || !isNode(node.callee) || !Array.isArray(node.args)) return node;
  if (!isWithin(name, node.args)) return node;
  return call("method", name, [literal(describeNode(callee.object)), node.callee.object, ...node.args]);
}

function isWithin(name: string, args: readonly unknown[]): boolean {
  const arePlain = args.every((one) => !isNode(one) || !/^Keyword|^Spread/.test(one.type));
  return arePlain && args.length <= (MOST_ARGUMENTS[name] ?? 0);
}

function rewriteMember(node: Node, original: Node): unknown {
  if (node.computed !== true) return node;
  const isSlice = isNode(node.property) && node.property.type === "SliceExpression";
  if (isSlice) return { ...node, object: thereOf(original.object, node.object) };
  return call("operator", "item", [literal(describeNode(original.object)), node.object, node.property]);
}

function thereOf(from: unknown, value: unknown): unknown {
  return call("operator", "there", [literal(describeNode(from)), value]);
}

function call(kind: Parameters<typeof nameOf>[0], name: string, args: readonly unknown[]): Node {
  return { type: "CallExpression", callee: { type: "Identifier", value: nameOf(kind, name) }, args };
}

function literal(value: string): Node {
  return { type: "StringLiteral", value };
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

function identifierValue(node: unknown): unknown {
  return isNode(node) ? node.value : undefined;
}

/** What a template calls a value, near enough for messages: `choices.text`, `answer_choices[label]`. */
function describeNode(node: unknown): string {
  if (!isNode(node)) return "a value";
  switch (node.type) {
    case "Identifier":
      return String(node.value);
    case "StringLiteral":
    case "IntegerLiteral":
      return JSON.stringify(node.value);
    case "MemberExpression": {
      const property = describeNode(node.property);
      return node.computed === true
        ? `${describeNode(node.object)}[${property}]`
        : `${describeNode(node.object)}.${property}`;
    }
    case "FilterExpression":
      return describeNode(node.operand);
    case "CallExpression":
      return `${describeNode(node.callee)}(…)`;
    case "UnaryExpression":
      return `${String(identifierValue(node.operator))}${describeNode(node.argument)}`;
    case "BinaryExpression":
      return `${describeNode(node.left)} ${String(identifierValue(node.operator))} ${describeNode(node.right)}`;
    case "SliceExpression":
      return "…";
    default:
      return "a value";
  }
}
