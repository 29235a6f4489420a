import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cloudevents } from '../../../../src/formats/cloudevents/index.ts';
import { debezium } from '../../../../src/formats/debezium/index.ts';
import type { DebeziumConfig } from '../../../../src/formats/debezium/options.ts';
import type { Format, FormatContext } from '../../../../src/plugin/format.ts';
import { ABSENT } from '../../../../src/record/batch.ts';
import { CONTEXT, column, type EncodedMessage, encoded, MESSAGES, type RecordSpec, tableShape } from '../../../support/encoded.ts';

const ORDERS = tableShape([column('id', 'int64'), column('amount', 'decimal', 2), column('note', 'text')], [0], 'orders');
const RECORDS: readonly RecordSpec[] = [
  { op: 'create', table: ORDERS, after: ['42', '12.30', 'first "one"'], ordinal: 0 },
  { op: 'update', table: ORDERS, before: ['42', ABSENT, ABSENT], after: ['43', '13.00', 'second'], ordinal: 1 },
  { op: 'update', table: ORDERS, after: ['43', '13.00', 'third'], ordinal: 2 },
  { op: 'delete', table: ORDERS, before: ['43', ABSENT, ABSENT], ordinal: 3 },
  { op: 'read', table: ORDERS, after: ['42', '12.30', 'first'], ordinal: 4 },
  { op: 'truncate', table: ORDERS, ordinal: 5 },
  { op: 'message', table: MESSAGES, after: ['outbox', 'hello'], ordinal: 6 },
];
const NATS = { prefix: 'ce-', isPercentEncoded: true };

function plugin(mode: 'structured' | 'binary') {
  return { create: (config: DebeziumConfig, context: FormatContext): Format => cloudevents.create({ ...config, mode }, context) };
}

interface Event {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly data: string;
}

const dataOf = (value: string): string => value.slice(value.indexOf(',"data":') + ',"data":'.length, -1);

/** An event of structured mode. */
function inValue({ value, headers }: EncodedMessage): Event {
  expect(Object.fromEntries(headers)['content-type']).toBe('application/cloudevents+json; charset=UTF-8');
  const { data: _, ...attributes } = JSON.parse(value ?? '') as Record<string, unknown>;
  return { attributes, data: dataOf(value ?? '') };
}

/** The same event of binary mode. */
function inHeaders({ value, headers }: EncodedMessage, { prefix, isPercentEncoded }: typeof NATS): Event {
  const attributes = headers.flatMap(([name, text]): [string, string][] => {
    if (name === 'content-type') return [['datacontenttype', text]];
    return name.startsWith(prefix) ? [[name.slice(prefix.length), isPercentEncoded ? decodeURIComponent(text) : text]] : [];
  });
  return { attributes: Object.fromEntries(attributes), data: value ?? '' };
}

const isEvent = ({ value }: EncodedMessage): boolean => value !== null;

describe('CloudEvents', () => {
  const structured = encoded(plugin('structured'), RECORDS);

  it('are those of docs/cloudevents.md', () => {
    const text = readFileSync(new URL('../../../../docs/cloudevents.md', import.meta.url), 'utf8');
    const documented = [...text.matchAll(/^key +(.*)\n((?:ce_|content-type).*\n)*value +(.*)$/gm)].map(([whole]) => whole);
    const [create] = structured as [EncodedMessage];
    const [binary] = encoded(plugin('binary'), RECORDS) as [EncodedMessage];
    const headers = binary.headers.filter(([name]) => !name.startsWith('sluice.')).map(([name, value]) => `${name}: ${value}\n`);
    // The version is the program's.
    const steady = (of: string): string => of.replace(/(iodebeziumversion"?: ?"?)[^",\n]+/, '$1…');
    expect([`key    ${create.key}\nvalue  ${create.value}`, `key    ${binary.key}\n${headers.join('')}value  ${binary.value}`].map(steady)).toEqual(
      documented.map(steady),
    );
  });

  it('have what CloudEvents 1.0 requires: names, types, an id of their own', () => {
    const events = structured.filter(isEvent).map(inValue);
    for (const { attributes } of events) {
      for (const name of Object.keys(attributes)) expect(name).toMatch(/^[a-z0-9]{1,20}$/);
      expect(attributes).toMatchObject({ specversion: '1.0', source: '/debezium/postgresql/g', datacontenttype: 'application/json' });
      expect(Object.values(attributes).every((value) => typeof value === 'string' && value !== '')).toBe(true);
      expect(new Date(attributes['time'] as string).toISOString()).toBe('2026-11-23T20:59:19.506Z');
    }
    expect(events.map(({ attributes }) => attributes['id'])).toEqual(structured.filter(isEvent).map(({ id }) => id));
    expect(new Set(structured.map(({ id }) => id)).size).toBe(structured.length);
    expect(events.map(({ attributes }) => attributes['iodebeziumop'])).toEqual(['c', 'd', 'c', 'u', 'd', 'r', 't', 'm']);
    expect(events.map(({ attributes }) => attributes['iodebeziumsnapshot'])).toEqual([
      'false',
      'false',
      'false',
      'false',
      'false',
      'true',
      'false',
      'false',
    ]);
  });

  it('hold rows as Debezium writes them, under its keys', () => {
    const theirs = encoded(debezium, RECORDS);
    expect(structured.map(({ key, id }) => [key, id])).toEqual(theirs.map(({ key, id }) => [key, id]));
    const rows = (text: string): unknown => {
      const { before, after, message } = JSON.parse(text) as { before?: unknown; after?: unknown; message?: unknown };
      return { before, after, message };
    };
    expect(structured.map(({ value }) => value && rows(dataOf(value)))).toEqual(theirs.map(({ value }) => value && rows(value)));
  });

  it.each([
    ['Kafka', undefined, { prefix: 'ce_', isPercentEncoded: false }],
    ['NATS', NATS, NATS],
  ])('say the same in headers, in the form of %s', (_name, cloudEvents, form) => {
    const binary = encoded(plugin('binary'), RECORDS, { context: { ...CONTEXT, cloudEvents } });
    expect(binary.filter(isEvent).map((message) => inHeaders(message, form))).toEqual(structured.filter(isEvent).map(inValue));
    expect(binary.map(({ key, id }) => [key, id])).toEqual(structured.map(({ key, id }) => [key, id]));
    if (form.isPercentEncoded) for (const { headers } of binary) for (const [, value] of headers) expect(value).toMatch(/^[!#-~]*$/);
  });

  it('a tombstone is none', () => {
    for (const mode of ['structured', 'binary'] as const) {
      const tombstones = encoded(plugin(mode), RECORDS).filter((message) => !isEvent(message));
      expect(tombstones.map(({ headers }) => headers.map(([name]) => name))).toEqual(Array(2).fill(['sluice.capture', 'sluice.schema']));
    }
  });
});
