import { describe, expect, it } from 'vitest';
import type { ConnectorDefinition } from '../../../src/config/definition.ts';
import { preflight } from '../../../src/daemon/preflight.ts';
import type { Finding } from '../../../src/plugin/finding.ts';
import type { TableOutline } from '../../../src/plugin/outline.ts';
import type { Sink } from '../../../src/plugin/sink.ts';
import type { Source } from '../../../src/plugin/source.ts';

const definition = {
  name: 'shop',
  onError: 'stop',
  source: { plugin: {}, config: {} },
  format: { plugin: {}, config: {} },
  sink: { plugin: {}, config: {} },
  schemaChanges: {},
  compatibility: { levels: {}, actions: {}, deprecated: [] },
  mapping: { rename: {}, cast: {}, defaults: {}, fixed: {} },
} as unknown as ConnectorDefinition;
const finding = (code: string): Finding => ({ severity: 'info', code, message: '', remedy: '' });
const table = { schema: 'public', name: 'orders', columns: [] } as unknown as TableOutline;
const unlimited = new AbortController().signal;

interface Sides {
  readonly source: (signal: AbortSignal) => Promise<{ readonly findings: readonly Finding[]; readonly tables: readonly TableOutline[] }>;
  readonly sink: (destinations: readonly string[], signal: AbortSignal) => Promise<readonly Finding[]>;
}

async function look(sides: Sides, signal: AbortSignal): Promise<{ failed: string[]; codes: string[] }> {
  const failed: string[] = [];
  const source = { preflight: sides.source } as unknown as Source;
  const sink = { preflight: sides.sink, destination: ({ name }: TableOutline) => name } as unknown as Sink;
  const { findings } = await preflight(definition, { source, sink }, signal, {
    failed: (part) => {
      failed.push(part);
      return [];
    },
    sinkSignal: () => unlimited,
  });
  return { failed, codes: findings.map(({ code }) => code) };
}

describe('source and sink are looked at beside each other', () => {
  it('a source that takes all of its time leaves the sink its own', async () => {
    const over = new AbortController();
    const asked: AbortSignal[] = [];
    const found = await look(
      {
        source: (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
        sink: (_, signal) => {
          asked.push(signal);
          // It has answered before the source is given up.
          setTimeout(() => over.abort(new Error('late')), 10);
          return Promise.resolve([finding('OF_THE_SINK')]);
        },
      },
      over.signal,
    );
    expect(asked).toEqual([unlimited]);
    expect(found).toEqual({ failed: ['source'], codes: ['OF_THE_SINK'] });
  });

  it('what was said of the brokers before the tables were known is said once, and so is what keeps it from being looked at', async () => {
    const source: Sides['source'] = () => Promise.resolve({ findings: [finding('OF_THE_SOURCE')], tables: [table] });
    const asked: (readonly string[])[] = [];
    const sink: Sides['sink'] = (destinations) => {
      asked.push(destinations);
      return Promise.resolve(
        destinations.length === 0 ? [finding('OF_BROKERS'), finding('OF_TOPICS')] : [finding('OF_TOPICS'), finding('OF_TABLES')],
      );
    };
    expect(await look({ source, sink }, unlimited)).toEqual({ failed: [], codes: ['OF_THE_SOURCE', 'OF_BROKERS', 'OF_TOPICS', 'OF_TABLES'] });
    expect(asked).toEqual([[], ['orders']]);
    asked.length = 0;
    const broken: Sides['sink'] = (destinations) => {
      asked.push(destinations);
      return Promise.reject(new Error('down'));
    };
    expect(await look({ source, sink: broken }, unlimited)).toEqual({ failed: ['sink'], codes: ['OF_THE_SOURCE'] });
    expect(asked).toEqual([[]]);
  });
});
