import { type ErrorKind, type ErrorParameters, SluiceError } from '../plugin/error.ts';
import { configWarnings } from './errors.ts';
import { type JsonNode, locator } from './json.ts';

/** One thing that is wrong in a configuration, with the place where it stands. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  /** As the user wrote it; `environment` for what comes from environment variables. */
  readonly file: string;
  /** JSON path such as `source.tables[0]`; empty for the file as a whole. */
  readonly path: string;
  /** From 1; absent where there is no text. */
  readonly line?: number;
  readonly column?: number;
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

/** More of one file are not told: whoever mends so many looks again. */
const TOLD = 100;

/** Collects the problems of all files, so that they are shown at once. */
export class ProblemList {
  readonly all: Problem[] = [];
  readonly #told = new Map<string, number>();

  add(file: string, path: string, position: { line: number; column: number } | null, kind: ErrorKind, parameters: ErrorParameters): void {
    const { code, message, remedy } = new SluiceError(kind, parameters);
    const severity = configWarnings.includes(kind) ? 'warning' : 'error';
    const told = (this.#told.get(`${severity} ${file}`) ?? 0) + 1;
    if (told > TOLD) return;
    this.#told.set(`${severity} ${file}`, told);
    this.all.push({ severity, file, path, ...position, code, message, remedy });
  }

  /** Sorted by file and place, first things first. */
  sorted(severity: Problem['severity']): Problem[] {
    return this.all
      .filter((problem) => problem.severity === severity)
      .sort((a, b) => compare(a.file, b.file) || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Problems within one parsed file: places are nodes or offsets of its text. */
export class FileProblems {
  readonly file: string;
  /** Null: it stands in no file. */
  readonly #text: string | null;
  readonly #list: ProblemList;
  /** Made for the first problem: most files have none. */
  #locate: ReturnType<typeof locator> | null = null;

  /** `text` is null for what stands in no file. */
  constructor(file: string, text: string | null, list: ProblemList) {
    this.file = file;
    this.#text = text;
    this.#list = list;
  }

  /** Errors so far, in all files. */
  get errors(): number {
    return this.#list.all.reduce((count, { severity }) => count + (severity === 'error' ? 1 : 0), 0);
  }

  add(path: string, at: JsonNode | number, kind: ErrorKind, parameters: ErrorParameters = {}): void {
    const offset = typeof at === 'number' ? at : at.at;
    this.#list.add(this.file, path, this.#text === null ? null : this.#placeOf(offset), kind, parameters);
  }

  /** The text is no JSON at this offset. */
  addSyntax(offset: number, kind: ErrorKind, reason: string): void {
    const position = this.#placeOf(offset);
    this.#list.add(this.file, '', position, kind, { ...position, reason });
  }

  #placeOf(offset: number): { line: number; column: number } {
    this.#locate ??= locator(this.#text ?? '');
    return this.#locate(offset);
  }
}

/** `source` + `tls` = `source.tls`; a key that is no plain word is quoted. */
export function joinPath(path: string, key: string): string {
  if (!/^[\w$-]+$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === '' ? key : `${path}.${key}`;
}

/** The node at a path as `joinPath` writes it, or the nearest one above it. */
export function nodeAt(root: JsonNode, path: string): JsonNode {
  let node = root;
  for (const [, word, index] of path.matchAll(/([^.[\]]+)|\[(\d+)\]/g)) {
    const next: JsonNode | undefined =
      word !== undefined && node.kind === 'object'
        ? node.members.get(word)?.value
        : index !== undefined && node.kind === 'array'
          ? node.items[Number(index)]
          : undefined;
    if (next === undefined) return node;
    node = next;
  }
  return node;
}
