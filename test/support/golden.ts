/** The cases of test/golden: SQL, and what Debezium 3.6.1 emitted for it. */
import { readFileSync } from 'node:fs';
import type { ColumnShape } from '../../src/record/table.ts';
import type { LogicalType } from '../../src/record/types.ts';
import { column, type EncodedMessage } from './encoded.ts';

export interface GoldenMessage {
  readonly table: string;
  /** The line up to the headers, volatile values replaced. */
  readonly text: string;
  readonly op: string | null;
  readonly headers: readonly { readonly key: string; readonly value: unknown }[];
}

export interface GoldenCase {
  /** Debezium's properties beside the defaults. */
  readonly config: Readonly<Record<string, string>>;
  /** What ran before the connector. */
  readonly pre: string;
  /** What ran while it streamed, statement by statement. */
  readonly stream: readonly string[];
}

/** What is another value at each run. */
const VOLATILE =
  /"(ts_ms|ts_us|ts_ns|version|sequence|txId|lsn|xmin|origin_lsn|file|pos|gtid|thread|server_id|query)":("(?:[^"\\]|\\.)*"|-?\d+|null)(?=[,}])/g;

/** A message's text without its volatile values. The versions inside schemas stay. */
export function stable(text: string): string {
  const source = text.lastIndexOf('"source":{"version"');
  // BEGIN and END have neither.
  if (source < 0) return text.replace(/"id":"\d+:\d+"/g, '"id":_').replace(/"ts_ms":\d+/, '"ts_ms":_');
  const stripped = text
    .slice(source)
    .replace(VOLATILE, '"$1":_')
    .replace(/"db":"[^"]*"/, '"db":_')
    .replace(/"transaction":\{"id":"\d+:\d+"/, '"transaction":{"id":_');
  // A logical message has its time in front.
  return text.slice(0, source).replace(/("op":"m","ts_ms":)\d+/, '$1_') + stripped;
}

export type GoldenSystem = 'postgres' | 'mysql';

function file(name: string, system: GoldenSystem = 'postgres'): string {
  return readFileSync(new URL(`../golden/${system}/${name}`, import.meta.url), 'utf8');
}

/** The streamed messages of a case. */
export function golden(name: string): GoldenMessage[] {
  return goldenMessages(name).filter(({ op }) => op !== 'r');
}

/** All messages of a case, copied rows first. */
export function goldenMessages(name: string, system: GoldenSystem = 'postgres'): GoldenMessage[] {
  return file(`${name}.debezium.jsonl`, system)
    .trimEnd()
    .split('\n')
    .map((line) => {
      const { topic, value, headers } = JSON.parse(line) as { topic: string; value: Value | null; headers: GoldenMessage['headers'] };
      const end = line.lastIndexOf(',"headers":');
      const text = line.slice(line.indexOf('"key":'), end);
      return { table: topic.slice(topic.lastIndexOf('.') + 1), text: stable(text), op: (value?.payload ?? value)?.op ?? null, headers };
    });
}

interface Value {
  readonly op?: string;
  readonly payload?: { readonly op: string };
}

export function lineOf({ key, value }: EncodedMessage): string {
  return stable(`"key":${key},"value":${value}`);
}

export function goldenCase(name: string, system: GoldenSystem = 'postgres'): GoldenCase {
  const text = file(`${name}.sql`, system);
  const [head = '', pre = '', stream = ''] = text.split(/^-- @(?:pre|stream)\n/m);
  const config = [...head.matchAll(/^-- @config ([^=]+)=(.*)$/gm)].map(([, key = '', value = '']) => [key, value]);
  return { config: Object.fromEntries(config) as Record<string, string>, pre, stream: statements(stream) };
}

export function goldenPrelude(): string {
  return file('prelude.sql');
}

/** Statements of a script: cut at each semicolon that stands outside quotes. */
function statements(sql: string): string[] {
  const found = sql.match(/(?:'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|[^;'"])+/g) ?? [];
  return found.map((statement) => statement.trim()).filter((statement) => statement !== '');
}

export type Columns = readonly (readonly [name: string, type: LogicalType, scale?: number])[];

export function columns(list: Columns): ColumnShape[] {
  return list.map(([name, type, scale]) => column(name, type, scale ?? null));
}
