/** MySQL's text of a JSON document, as a query gives it, into the text that the log's binary form becomes (log/json.ts): the same bytes for the same document (I11). */
import { doubleText } from '../log/json.ts';

/** Times, and what JSON has no form for, are strings in the text and no strings in the document: only their form tells, and `strings`. */
const NO_STRING = /^"(?:(-?\d{2,3}:\d\d:\d\d|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(\d{6})|base64:type\d+:([A-Za-z0-9+/=]*))"$/;
const NUMBER = /-?\d[\d.eE+-]*/y;
const WORD = /[a-z]+/y;
const [SPACE, QUOTE, BACKSLASH] = [0x20, 0x22, 0x5c];

/**
 * For a query beside the column's: the paths of all strings of the document, where its text has something that may be no string; else null. A document may hold the text
 * of a time, or a time.
 */
export function stringsSql(column: string): string {
  return `IF(${column} LIKE '%:__.______"%' OR ${column} LIKE '%"base64:type%', COALESCE(JSON_SEARCH(${column}, 'all', '%'), JSON_ARRAY()), NULL)`;
}

/** @param strings what `stringsSql` gave. Throws a RangeError for what is no document. */
export function canonicalJson(text: string, strings: string | null): string {
  // An empty value is what an INSERT … IGNORE leaves for a missing NOT NULL one.
  if (text === '') return 'null';
  return new Document(text, strings === null ? null : pathsOf(strings)).text();
}

/** Path of a value: names and numbers, as one text. */
type Path = readonly (string | number)[];

function pathsOf(strings: string): ReadonlySet<string> {
  const found = JSON.parse(strings) as string | readonly string[];
  return new Set((typeof found === 'string' ? [found] : found).map((path) => JSON.stringify(parsePath(path))));
}

/** `$.name."other name"[0]`. */
function parsePath(path: string): Path {
  const legs: (string | number)[] = [];
  for (const [, quoted, name, index] of path.matchAll(/\.("(?:[^"\\]|\\.)*")|\.([^.["]+)|\[(\d+)\]/g)) {
    if (index !== undefined) legs.push(Number(index));
    else legs.push(quoted === undefined ? (name as string) : (JSON.parse(quoted) as string));
  }
  return legs;
}

class Document {
  readonly #text: string;
  readonly #strings: ReadonlySet<string> | null;
  readonly #path: (string | number)[] = [];
  #at = 0;
  #next = '';

  constructor(text: string, strings: ReadonlySet<string> | null) {
    this.#text = text;
    this.#strings = strings;
    this.#advance();
  }

  text(): string {
    const parts: string[] = [];
    this.#value(parts);
    if (this.#next !== '') throw new RangeError('text behind its JSON');
    return parts.join('');
  }

  /** Gives the token at hand and looks at the next one; '' at the end. */
  #advance(): string {
    const token = this.#next;
    while (this.#text.charCodeAt(this.#at) === SPACE) this.#at++;
    const end = this.#tokenEnd();
    this.#next = this.#text.slice(this.#at, end);
    this.#at = end;
    return token;
  }

  #tokenEnd(): number {
    const text = this.#text;
    const from = this.#at;
    const code = text.charCodeAt(from);
    if (code === QUOTE) return this.#stringEnd();
    const pattern = code >= 0x61 && code <= 0x7a ? WORD : code === 0x2d || (code >= 0x30 && code <= 0x39) ? NUMBER : null;
    if (pattern === null) return Math.min(text.length, from + 1);
    pattern.lastIndex = from;
    if (!pattern.test(text)) throw new RangeError('no JSON');
    return pattern.lastIndex;
  }

  /** No regular expression: a string may have millions of characters. */
  #stringEnd(): number {
    for (let end = this.#text.indexOf('"', this.#at + 1); end >= 0; end = this.#text.indexOf('"', end + 1)) {
      let escapes = 0;
      while (this.#text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++;
      if (escapes % 2 === 0) return end + 1;
    }
    throw new RangeError('a JSON string has no end');
  }

  #value(parts: string[]): void {
    const token = this.#next;
    switch (token[0]) {
      case '{':
        this.#members(parts, '{', '}', () => {
          const name = JSON.parse(this.#advance()) as string;
          parts.push(JSON.stringify(name), this.#advance());
          return name;
        });
        return;
      case '[':
        this.#members(parts, '[', ']', (index) => index);
        return;
      case '"':
        parts.push(this.#string(this.#advance()));
        return;
      default:
        parts.push(scalarText(this.#advance()));
    }
  }

  #members(parts: string[], open: string, close: string, leg: (index: number) => string | number): void {
    parts.push(open);
    this.#advance();
    for (let index = 0; this.#next !== close; index++) {
      if (index > 0) {
        if (this.#advance() !== ',') throw new RangeError('no JSON');
        parts.push(',');
      }
      this.#path.push(leg(index));
      this.#value(parts);
      this.#path.pop();
    }
    this.#advance();
    parts.push(close);
  }

  #string(token: string): string {
    const parts = this.#strings === null ? null : NO_STRING.exec(token);
    if (parts === null || this.#strings?.has(JSON.stringify(this.#path)) === true)
      return token.includes('\\') ? JSON.stringify(JSON.parse(token)) : token;
    const [, time, fraction = '', base64] = parts;
    if (base64 !== undefined) return `"${base64}"`;
    const digits = fraction.replace(/0+$/, '');
    return `"${time}${digits === '' ? '' : `.${digits}`}"`;
  }
}

/** Integers and decimals as they are; what has an exponent is a float. */
function scalarText(token: string): string {
  if (token === 'true' || token === 'false' || token === 'null') return token;
  if (!/^-?\d/.test(token)) throw new RangeError('no JSON');
  return /[eE]/.test(token) ? doubleText(Number(token)) : token;
}
