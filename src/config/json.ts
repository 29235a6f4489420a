/**
 * JSON (RFC 8259) read into a tree that remembers where each value stands, so that every problem can be shown with line and column, and that keeps
 * duplicate keys, which `JSON.parse` silently drops.
 */

export interface Member {
  /** Offset of the key in the text. */
  readonly keyAt: number;
  readonly value: JsonNode;
}

export type JsonNode =
  | {
      readonly kind: 'object';
      readonly at: number;
      readonly members: ReadonlyMap<string, Member>;
      readonly duplicates: readonly { readonly key: string; readonly at: number }[];
    }
  | { readonly kind: 'array'; readonly at: number; readonly items: readonly JsonNode[] }
  | { readonly kind: 'string'; readonly at: number; readonly value: string }
  | { readonly kind: 'number'; readonly at: number; readonly value: number; readonly text: string }
  | { readonly kind: 'boolean'; readonly at: number; readonly value: boolean }
  | { readonly kind: 'null'; readonly at: number };

export type ObjectNode = Extract<JsonNode, { kind: 'object' }>;
export type StringNode = Extract<JsonNode, { kind: 'string' }>;

/** The text is not JSON. `offset` counts UTF-16 code units from the start of the text. */
export class JsonSyntaxError extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.name = 'JsonSyntaxError';
    this.offset = offset;
  }
}

/** Line and column, both from 1, of an offset. */
export function locate(text: string, offset: number): { readonly line: number; readonly column: number } {
  return locator(text)(offset);
}

/** `locate` for many places of one text: it is looked through once. */
export function locator(text: string): (offset: number) => { readonly line: number; readonly column: number } {
  const breaks: number[] = [];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) breaks.push(at);
  return (offset) => {
    let [low, high] = [0, breaks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((breaks[middle] as number) < offset) low = middle + 1;
      else high = middle;
    }
    return { line: low + 1, column: offset - (breaks[low - 1] ?? -1) };
  };
}

/** Deeper nesting is an error and not a stack overflow. */
const MAX_DEPTH = 64;
const ESCAPES: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const PLAIN = /[^"\\\p{Cc}]+/uy;
const WORD = /[A-Za-z_$][\w$-]*/y;

/** Parses a whole text. Throws JsonSyntaxError. A byte order mark at the start is allowed. */
export function parseJson(text: string): JsonNode {
  const parser = new Parser(text);
  return parser.document();
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonNode {
    if (this.#text.charCodeAt(0) === 0xfeff) this.#at = 1;
    this.#space();
    if (this.#at >= this.#text.length) this.#fail('the file is empty');
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) this.#fail(`${this.#seen()} after the end of the JSON value`);
    return value;
  }

  #value(depth: number): JsonNode {
    if (depth > MAX_DEPTH) this.#fail(`nested deeper than ${MAX_DEPTH} levels`);
    const at = this.#at;
    switch (this.#text[at]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return { kind: 'string', at, value: this.#string() };
      default:
        return this.#scalar(at);
    }
  }

  #scalar(at: number): JsonNode {
    NUMBER.lastIndex = at;
    const text = NUMBER.exec(this.#text)?.[0];
    if (text !== undefined) {
      this.#at += text.length;
      if (/[\w.]/.test(this.#text[this.#at] ?? '')) this.#fail('this is no number', at);
      return { kind: 'number', at, value: Number(text), text };
    }
    WORD.lastIndex = at;
    const word = WORD.exec(this.#text)?.[0];
    if (word === undefined) this.#fail(`a value is expected, ${this.#seen()} was found`);
    this.#at += word.length;
    if (word === 'true' || word === 'false') return { kind: 'boolean', at, value: word === 'true' };
    if (word === 'null') return { kind: 'null', at };
    return this.#fail('strings are written in double quotes', at);
  }

  #object(depth: number): JsonNode {
    const at = this.#at++;
    const members = new Map<string, Member>();
    const duplicates: { key: string; at: number }[] = [];
    this.#space();
    if (this.#text[this.#at] === '}') return this.#closed({ kind: 'object', at, members, duplicates });
    for (;;) {
      this.#space();
      const keyAt = this.#at;
      if (this.#text[keyAt] !== '"')
        this.#fail(this.#text[keyAt] === '}' ? 'a comma before the closing brace' : `a key in double quotes is expected, ${this.#seen()} was found`);
      const key = this.#string();
      this.#space();
      if (this.#text[this.#at] !== ':') this.#fail(`a colon is expected after the key, ${this.#seen()} was found`);
      this.#at++;
      this.#space();
      const value = this.#value(depth + 1);
      if (members.has(key)) duplicates.push({ key, at: keyAt });
      else members.set(key, { keyAt, value });
      if (this.#ends('}')) return { kind: 'object', at, members, duplicates };
    }
  }

  #array(depth: number): JsonNode {
    const at = this.#at++;
    const items: JsonNode[] = [];
    this.#space();
    if (this.#text[this.#at] === ']') return this.#closed({ kind: 'array', at, items });
    for (;;) {
      this.#space();
      if (this.#text[this.#at] === ']') this.#fail('a comma before the closing bracket');
      items.push(this.#value(depth + 1));
      if (this.#ends(']')) return { kind: 'array', at, items };
    }
  }

  #closed(node: JsonNode): JsonNode {
    this.#at++;
    return node;
  }

  /** After an element: true at the closing sign, false after a comma. */
  #ends(close: string): boolean {
    this.#space();
    const sign = this.#text[this.#at];
    if (sign !== ',' && sign !== close) this.#fail(`a comma or "${close}" is expected, ${this.#seen()} was found`);
    this.#at++;
    return sign === close;
  }

  #string(): string {
    const start = this.#at++;
    let out = '';
    for (;;) {
      // In runs: a schema may be one string of a megabyte.
      PLAIN.lastIndex = this.#at;
      const plain = PLAIN.exec(this.#text)?.[0] ?? '';
      out += plain;
      this.#at += plain.length;
      const char = this.#text[this.#at];
      if (char === undefined || char === '\n' || char === '\r') this.#fail('this string has no closing quote', start);
      this.#at++;
      if (char === '"') return out;
      if (char < ' ') this.#fail('a control character in a string must be escaped', this.#at - 1);
      out += char === '\\' ? this.#escape() : char;
    }
  }

  #escape(): string {
    const sign = this.#text[this.#at++] ?? '';
    const plain = ESCAPES[sign];
    if (plain !== undefined) return plain;
    const digits = this.#text.slice(this.#at, this.#at + 4);
    if (sign !== 'u' || !/^[\da-fA-F]{4}$/.test(digits)) this.#fail('this escape is not known in JSON (write a backslash as \\\\)', this.#at - 2);
    this.#at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  #space(): void {
    while (this.#at < this.#text.length && ' \t\n\r'.includes(this.#text.charAt(this.#at))) this.#at++;
    const next = this.#text.slice(this.#at, this.#at + 2);
    if (next === '//' || next === '/*') this.#fail('JSON has no comments');
  }

  /** What stands at the current place. Never more than one sign, so that no secret gets into a message (I12). */
  #seen(): string {
    const sign = this.#text[this.#at];
    return sign === undefined ? 'the end of the file' : `"${sign}"`;
  }

  #fail(message: string, offset = this.#at): never {
    throw new JsonSyntaxError(message, offset);
  }
}
