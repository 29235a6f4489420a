/** The registry's client and the ids of schemas, on a real registry; what Apicurio cannot be made to show (passwords, TLS, trouble) is put in front of it. */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Registration, RegistryClient } from '../../src/formats/registry/client.ts';
import type { RegistryConfig } from '../../src/formats/registry/options.ts';
import { SchemaIds } from '../../src/formats/registry/schema-ids.ts';
import type { FormatPorts } from '../../src/plugin/format.ts';
import { SPAN, SPAN_SIZE } from '../../src/record/messages.ts';
import { TableRegistry, type TableVersion } from '../../src/record/table.ts';
import { type Certificates, makeCertificates, type RegistryServer, startRegistry } from '../servers/index.ts';
import { temporaryDirectory } from '../servers/process.ts';
import { registryAvailable } from '../support/available-servers.ts';
import { REGISTRY } from '../support/avro.ts';
import { column, tableShape } from '../support/encoded.ts';
import { messageBatch } from '../support/message-batches.ts';
import { type LogLine, pluginContext } from '../support/plugin-context.ts';

const never = new AbortController().signal;
const SECRET = 'p4ss w0rd:ü';

describe.runIf(registryAvailable)('schema registry', () => {
  let registry: RegistryServer;
  let certificates: Certificates;
  const closing: (() => void)[] = [];

  beforeAll(async () => {
    registry = await startRegistry();
    certificates = await makeCertificates(await temporaryDirectory('registry-tls'));
  });

  afterAll(async () => {
    for (const close of closing) close();
    await registry.dispose();
  });

  /** A server in front of the registry; `answer` returns true where it has answered itself. */
  async function front(answer: (asked: IncomingMessage, out: ServerResponse) => boolean, tls = false): Promise<string> {
    const take = (asked: IncomingMessage, out: ServerResponse): void => {
      if (answer(asked, out)) return;
      const { method, headers, url } = asked;
      const behind = request({ port: registry.port, host: '127.0.0.1', path: url, method, headers }, (reply) => {
        out.writeHead(reply.statusCode ?? 0, reply.headers);
        reply.pipe(out);
      });
      asked.pipe(behind);
    };
    const server = tls ? createTlsServer({ cert: readFileSync(certificates.cert), key: readFileSync(certificates.key) }, take) : createServer(take);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => {
      server.close();
      server.closeAllConnections();
    });
    return `${tls ? 'https' : 'http'}://localhost:${(server.address() as AddressInfo).port}${new URL(registry.url).pathname}`;
  }

  const refuseAll = (status: number) => front((_, out) => Boolean(out.writeHead(status).end('{}')));

  interface Watched {
    readonly client: RegistryClient;
    readonly states: string[];
    readonly outcomes: string[];
    readonly lines: LogLine[];
    readonly ports: FormatPorts;
  }

  function clientOf(config: Partial<RegistryConfig> = {}): Watched {
    const context = pluginContext();
    const [states, outcomes]: [string[], string[]] = [[], []];
    const ports = { ...context, circuit: (state: string) => void states.push(state), asked: (outcome: string) => void outcomes.push(outcome) };
    return { client: new RegistryClient({ ...REGISTRY, urls: [registry.url], ...config }, ports), states, outcomes, lines: context.lines, ports };
  }

  const schema = (subject: string, fields = 1, type: Registration['type'] = 'AVRO'): Registration => ({
    subject,
    type,
    table: 'public.t',
    text:
      type === 'JSON'
        ? '{"type":"object","title":"T","properties":{}}'
        : JSON.stringify({ type: 'record', name: 'T', fields: Array.from({ length: fields }, (_, index) => ({ name: `f${index}`, type: 'int' })) }),
  });

  it('registers a schema once: the same one has the same id', async () => {
    const { client, states, outcomes } = clientOf();
    const id = await client.id(schema('once'), never);
    expect(await client.id(schema('once'), never)).toBe(id);
    expect(await client.id(schema('once', 2), never)).not.toBe(id);
    expect(await registry.ask('subjects/once/versions')).toEqual([1, 2]);
    await client.id(schema('once-json', 1, 'JSON'), never);
    expect(await registry.ask('subjects/once-json/versions/1')).toMatchObject({ schemaType: 'JSON' });
    // A subject is one segment of the path, whatever is in it.
    await client.id(schema('a b/ü?#%'), never);
    expect(await registry.ask('subjects')).toContain('a b/ü?#%');
    expect([states, new Set(outcomes)]).toEqual([['closed'], new Set(['answered'])]);
  });

  it('with autoRegister off finds what stands there, and stops at what does not (I8)', async () => {
    const { client } = clientOf({ autoRegister: false });
    const missing = { code: 'SLUICE_REGISTRY_MISSING', table: 'public.t', kind: { retry: 'manual' } };
    await expect(client.id(schema('there'), never)).rejects.toMatchObject(missing);
    const id = await clientOf().client.id(schema('there'), never);
    expect(await client.id(schema('there'), never)).toBe(id);
    await expect(client.id(schema('there', 2), never)).rejects.toMatchObject(missing);
    expect(await registry.ask('subjects/there/versions')).toEqual([1]);
  });

  it('says which table and subject the registry refuses, and why', async () => {
    const { client } = clientOf();
    await client.id(schema('strict'), never);
    await registry.ask('config/strict', 'PUT', { compatibility: 'BACKWARD' });
    await expect(client.id(schema('strict', 2), never)).rejects.toMatchObject({
      code: 'SLUICE_REGISTRY_INCOMPATIBLE',
      table: 'public.t',
      message: expect.stringMatching(/public\.t.*"strict" \(HTTP 409\): .*Incompatible/) as string,
    });
    await expect(client.id({ ...schema('strict'), text: '{"type":"record"' }, never)).rejects.toMatchObject({ code: 'SLUICE_REGISTRY_INCOMPATIBLE' });
  });

  it.each<[string, Partial<RegistryConfig>, string]>([
    ['user and password', { user: 'sluice', password: SECRET }, `Basic ${Buffer.from(`sluice:${SECRET}`).toString('base64')}`],
    ['a token', { token: 't0ken' }, 'Bearer t0ken'],
  ])('proves who asks by %s, over TLS with an authority of the user’s, and tells no secret (I12)', async (_how, config, expected) => {
    const url = await front((asked, out) => asked.headers.authorization !== expected && Boolean(out.writeHead(401).end('{}')), true);
    const tls = { ca: certificates.ca };
    expect(await clientOf({ urls: [url], tls, ...config }).client.id(schema('secured'), never)).toBeGreaterThan(0);
    const wrong = clientOf({ urls: [url], tls, ...(config.token === undefined ? { user: 'sluice', password: 's3cret' } : { token: 's3cret' }) });
    const error = await wrong.client.id(schema('secured'), never).catch((reason: unknown) => reason as Error & { code: string; remedy: string });
    expect(error).toMatchObject({ code: 'SLUICE_REGISTRY_ACCESS' });
    expect(JSON.stringify([error, String(error), wrong.lines])).not.toMatch(/s3cret|czNjcmV0/);
    // Without the authority nothing is sent, and nothing is waited for.
    await expect(clientOf({ urls: [url], ...config }).client.id(schema('secured'), never)).rejects.toMatchObject({ code: 'SLUICE_REGISTRY_TLS' });
    await expect(clientOf({ urls: [url], tls: { ca: '/no/such/file' } }).client.id(schema('s'), never)).rejects.toMatchObject({
      code: 'SLUICE_REGISTRY_TLS',
    });
  });

  it('tries the URLs in turn, and stays with the one that answers', async () => {
    let asked = 0;
    const broken = await front((_, out) => Boolean(out.writeHead(503).end(String(asked++))));
    const { client, lines } = clientOf({ urls: ['http://127.0.0.1:1', broken, registry.url] });
    await client.id(schema('turns'), never);
    await client.id(schema('turns', 2), never);
    expect([asked, lines]).toEqual([1, []]);
  });

  it('waits behind an open circuit while the registry is frozen, says so once, and goes on when it is back (I1, I10)', async () => {
    const { client, states, outcomes, lines } = clientOf({ timeout: 200 });
    registry.signal('SIGSTOP');
    const waiting = client.id(schema('frozen'), never);
    await expect.poll(() => states, { timeout: 10_000 }).toContain('half-open');
    registry.signal('SIGCONT');
    const thawedAt = Date.now();
    expect(await waiting).toBeGreaterThan(0);
    expect(Date.now() - thawedAt).toBeLessThan(5000);
    expect(states.slice(0, 3)).toEqual(['closed', 'open', 'half-open']);
    expect(states.at(-1)).toBe('closed');
    expect(new Set(outcomes)).toEqual(new Set(['failed', 'withheld', 'answered']));
    expect(lines.map(({ level, code }) => [level, code])).toEqual([
      ['warn', 'SLUICE_REGISTRY_UNREACHABLE'],
      ['info', undefined],
    ]);
  });

  it('ends waiting when it is told to', async () => {
    const ending = new AbortController();
    const waiting = clientOf({ urls: [await refuseAll(503)] }).client.id(schema('ended'), ending.signal);
    setTimeout(() => ending.abort(), 100);
    await expect(waiting).rejects.toMatchObject({ code: 'SLUICE_REGISTRY_UNREACHABLE', kind: { retry: 'auto' } });
  });

  it.each<[string, () => Promise<string>]>([
    ['the root of another API', () => Promise.resolve(`http://127.0.0.1:${registry.port}/no/such/api`)],
    ['no id', () => front((_, out) => Boolean(out.writeHead(200).end('{"id":"1"}')))],
    ['a page', () => front((_, out) => Boolean(out.writeHead(200).end('<html>')))],
    ['a redirect', () => refuseAll(302)],
  ])('stops at what no registry answers: %s (I8)', async (_what, url) => {
    await expect(clientOf({ urls: [await url()] }).client.id(schema('strange'), never)).rejects.toMatchObject({ code: 'SLUICE_REGISTRY_ANSWER' });
  });

  describe('ids', () => {
    const tables = new TableRegistry();
    const versionOf = (label: string, version: number): TableVersion | null => tables.find(label, version);

    function idsOf(config: Partial<RegistryConfig> = {}): SchemaIds {
      const full = { ...REGISTRY, urls: [registry.url], ...config };
      return new SchemaIds(full, clientOf().ports, 'AVRO', ({ columns, name }) => ({
        key: { name: `${name}.Key`, text: schema('', 1).text },
        value: { name: `${name}.Envelope`, text: schema('', columns.length).text },
      }));
    }

    const version = (name: string, columns: number): TableVersion =>
      tables.version(
        tableShape(
          Array.from({ length: columns }, (_, index) => column(`c${index}`, 'int32')),
          [0],
          name,
        ),
      );
    const id = (head: Uint8Array): number => Buffer.from(head).readUInt32BE(1);
    const wire = (text: string): string => `\u0000\u0000\u0000\u0000\u0000${text}`;

    it.each([
      ['topic', ['d.topic-key', 'd.topic-value']],
      ['record', ['topic.Key', 'topic.Envelope']],
      ['topic-record', ['d.topic-topic.Key', 'd.topic-topic.Envelope']],
    ] as const)('subjects by %s', async (subjects, expected) => {
      const table = version('topic', 1);
      const ids = idsOf({ subjects });
      await ids.ready(table, 'd.topic', never);
      expect(await registry.ask('subjects')).toEqual(expect.arrayContaining([...expected]));
      expect(ids.ready(table, 'd.topic', never)).toBe(null);
      const { key, value } = ids.framesOf(table);
      expect([key.head[0], key.head.length, id(key.head) > 0, id(value.head) > 0]).toEqual([0, 5, true, true]);
    });

    it('what is refused is encoded without an id, cannot be delivered so, and has it when it is asked for again (I1, I8)', async () => {
      const [one, two] = [version('held', 1), version('held', 2)];
      const ids = idsOf();
      await ids.ready(one, 'held', never);
      await registry.ask('config/held-value', 'PUT', { compatibility: 'BACKWARD' });
      await ids.ready(two, 'held', never);
      expect([id(ids.framesOf(one).value.head) > 0, id(ids.framesOf(two).value.head), id(ids.framesOf(two).key.head) > 0]).toEqual([true, 0, true]);
      const headers = [['sluice.schema', '2']] as const;
      const of = { destination: 'held', table: 'public.held', headers };
      const messages = () =>
        messageBatch([
          { ...of, id: 'a', value: '\u0000\u0000\u0000\u0000\u0007x' },
          { ...of, id: 'b', value: wire('x'), key: wire('k') },
          { ...of, id: 'c', value: null },
        ]);
      expect(ids.refused(messages(), versionOf)).toMatchObject({ index: 1, error: { code: 'SLUICE_REGISTRY_INCOMPATIBLE' } });
      const kept = messages();
      await ids.complete(kept, versionOf, never);
      expect(ids.refused(kept, versionOf)).toMatchObject({ index: 1 });
      await registry.ask('config/held-value', 'PUT', { compatibility: 'NONE' });
      await ids.complete(kept, versionOf, never);
      expect(ids.refused(kept, versionOf)).toBe(null);
      expect(ids.complete(kept, versionOf, never)).toBe(null);
      const next = idsOf();
      await next.ready(two, 'held', never);
      const { key, value } = next.framesOf(two);
      const given = (index: number, part: number): number => kept.bytes.readUInt32BE((kept.spans[index * SPAN_SIZE + part] as number) + 1);
      expect([given(0, SPAN.valueStart), given(1, SPAN.valueStart), given(1, SPAN.keyStart)]).toEqual([7, id(value.head), id(key.head)]);
    });

    it('a message of a version that is forgotten is not delivered without its id (I8)', async () => {
      const ids = idsOf();
      const kept = messageBatch([{ id: 'a', destination: 'd', table: 'public.gone', value: wire('x'), headers: [['sluice.schema', '9']] }]);
      await ids.complete(kept, versionOf, never);
      expect(ids.refused(kept, versionOf)).toMatchObject({ index: 0, error: { code: 'SLUICE_REGISTRY_FORGOTTEN', table: 'public.gone' } });
    });
  });
});
