/** The HTTP API on a real listener: who may ask for what, how errors are told, and that no secret leaves (I12; reference: Kafka Connect's answers held passwords until KIP-297). */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request as secureRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redactor } from '../../src/config/redact.ts';
import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import { apiRoutes } from '../../src/http/api-routes.ts';
import { type HttpListener, type HttpOptions, startHttp } from '../../src/http/listener.ts';
import type { Operation } from '../../src/http/operation.ts';
import { defineError, SluiceError } from '../../src/plugin/error.ts';
import { type Certificates, makeCertificates } from '../servers/certificates.ts';

const TOKEN = 'a-token-of-the-test';
const READ_TOKEN = 'a-token-to-look-with';
const SECRET = 'kanarienvogel';
const UNKNOWN = defineError({ code: 'SLUICE_CONNECTOR_UNKNOWN', retry: 'never', exit: 2, cause: 'no "{name}"', remedy: 'name another' });
const REFUSED = defineError({ code: 'SLUICE_TEST_REFUSED', retry: 'manual', exit: 2, cause: 'not at {url}', remedy: 'mend {url}' });

const asked: unknown[] = [];
const operations: readonly Operation[] = [
  {
    id: 'things/list',
    method: 'GET',
    paths: ['/things', '/connectors/:connector/things'],
    scope: 'read',
    summary: 'Things.',
    arguments: { connector: { kind: 'string', about: 'Which.' }, tables: { kind: 'strings', about: 'Tables.' } },
    run: async (given) => {
      asked.push([given.given('connector'), given.list('tables')]);
      return [{ name: SECRET, url: `nats://u:${SECRET}@h`, nested: [{ text: SECRET, n: 1, none: null }] }];
    },
  },
  {
    id: 'things/do',
    method: 'PUT',
    paths: ['/connectors/:connector/things'],
    scope: 'operate',
    summary: 'Do.',
    arguments: {
      connector: { kind: 'string', about: 'Which.' },
      how: { kind: 'string', isRequired: true, choices: ['well', 'badly'], about: 'How.' },
    },
    run: async (given) => {
      if (given.text('connector') === 'none') throw new SluiceError(UNKNOWN, { name: 'none' });
      if (given.text('how') === 'badly') throw new SluiceError(REFUSED, { url: `nats://u:${SECRET}@h` });
      if (given.text('connector') === 'bug') throw new TypeError(`bug at ${SECRET}`);
      return { done: given.text('how') };
    },
  },
];

describe('the HTTP API', () => {
  const listeners: HttpListener[] = [];
  const log: string[] = [];
  let directory: string;
  let certificates: { readonly [name in keyof Certificates]: Buffer };
  let open: string;
  let guarded: string;
  let secured: string;

  async function listen(options: Partial<HttpOptions>): Promise<string> {
    const keep = (message: string): void => void log.push(message);
    const groups = [apiRoutes({ operations, redact: redactor([SECRET]) })];
    const shared = { host: '127.0.0.1', port: 0, token: null, readToken: null, tls: null, groups, runtime: nodeRuntime() };
    const listener = await startHttp({ ...shared, log: { debug: keep, info: keep, warn: keep, error: keep }, ...options });
    listeners.push(listener);
    return `${listener.url}/api/v1`;
  }

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-api-'));
    const { ca, cert, key, clientCert, clientKey } = await makeCertificates(directory);
    const [a, b, c, d, e] = await Promise.all([ca, cert, key, clientCert, clientKey].map((path) => readFile(path)));
    certificates = { ca: a, cert: b, key: c, clientCert: d, clientKey: e } as typeof certificates;
    open = await listen({});
    guarded = await listen({ token: TOKEN, readToken: READ_TOKEN });
    secured = await listen({ token: TOKEN, tls: { cert: certificates.cert, key: certificates.key, clientCa: certificates.ca } });
  });

  afterAll(async () => {
    for (const listener of listeners) await listener.close();
    await rm(directory, { recursive: true });
  });

  async function call(
    base: string,
    method: string,
    path: string,
    more: { token?: string; body?: unknown } = {},
  ): Promise<{ status: number; body: unknown }> {
    const headers: Record<string, string> = {};
    if (more.token !== undefined) headers['authorization'] = `Bearer ${more.token}`;
    if (more.body !== undefined) headers['content-type'] = 'application/json';
    const response = await fetch(base + path, { method, headers, ...(more.body === undefined ? {} : { body: JSON.stringify(more.body) }) });
    return { status: response.status, body: await response.json() };
  }

  it('gives arguments from path, query and body, and hides secrets in every text of the answer, but not in names', async () => {
    const { status, body } = await call(open, 'GET', '/connectors/shop/things?tables=a&tables=b');
    expect(asked.at(-1)).toEqual(['shop', ['a', 'b']]);
    expect([status, body]).toEqual([200, [{ name: SECRET, url: 'nats://u:***@h', nested: [{ text: '***', n: 1, none: null }] }]]);
    await call(open, 'GET', '/things');
    expect(asked.at(-1)).toEqual([undefined, []]);
    expect(await call(open, 'PUT', '/connectors/shop/things', { body: { how: 'well' } })).toEqual({ status: 200, body: { done: 'well' } });
  });

  it.each([
    ['an argument that is missing', {}, '"how" is missing'],
    ['an argument that is none', { how: 'well', why: 'x' }, 'it has no "why"'],
    ['a wrong choice', { how: 'so' }, '"how" is one of well, badly'],
    ['a wrong type', { how: 1 }, '"how" is a string'],
    ['a list', [], 'it is one JSON object'],
  ])('refuses %s: nothing is read and ignored', async (_, given, reason) => {
    const { status, body } = await call(open, 'PUT', '/connectors/shop/things', { body: given });
    expect(status).toBe(400);
    expect(body).toMatchObject({ error_code: 400, code: 'SLUICE_REQUEST_INVALID', message: `The request things/do is not understood: ${reason}.` });
  });

  it('tells errors with code, cause and remedy, without secrets; of a bug only that it is one', async () => {
    expect(await call(open, 'PUT', '/connectors/none/things', { body: { how: 'well' } })).toMatchObject({
      status: 404,
      body: { code: 'SLUICE_CONNECTOR_UNKNOWN' },
    });
    const { status, body } = await call(open, 'PUT', '/connectors/shop/things', { body: { how: 'badly' } });
    expect([status, body]).toEqual([
      409,
      { error_code: 409, code: 'SLUICE_TEST_REFUSED', message: 'not at nats://u:***@h', remedy: 'mend nats://u:***@h', retry: 'manual' },
    ]);
    const bug = await call(open, 'PUT', '/connectors/bug/things', { body: { how: 'well' } });
    expect([bug.status, JSON.stringify(bug.body).includes(SECRET)]).toEqual([500, false]);
  });

  it.each([
    ['GET', '/things', undefined, 401],
    ['GET', '/things', 'another-token-than-that', 401],
    ['GET', '/things', READ_TOKEN, 200],
    ['GET', '/openapi.json', READ_TOKEN, 200],
    ['PUT', '/connectors/shop/things', READ_TOKEN, 403],
    ['GET', '/things', TOKEN, 200],
    ['PUT', '/connectors/shop/things', TOKEN, 200],
  ])('%s %s with the token %s: %i', async (method, path, token, expected) => {
    const more = { ...(token === undefined ? {} : { token }), ...(method === 'PUT' ? { body: { how: 'well' } } : {}) };
    expect((await call(guarded, method, path, more)).status).toBe(expected);
  });

  it('with an authority of clients lets in who shows a certificate of it, and nobody else, token or not', async () => {
    const get = (more: object, headers = {}): Promise<number> =>
      new Promise((resolve, reject) => {
        const outgoing = secureRequest(`${secured}/things`, { ca: certificates.ca, headers, agent: false, ...more }, (incoming) => {
          incoming.resume();
          resolve(incoming.statusCode ?? 0);
        });
        outgoing.once('error', reject);
        outgoing.end();
      });
    expect(await get({ cert: certificates.clientCert, key: certificates.clientKey })).toBe(200);
    await expect(get({}, { authorization: `Bearer ${TOKEN}` })).rejects.toThrow();
    // A token that is given must be right.
    expect(await get({ cert: certificates.clientCert, key: certificates.clientKey }, { authorization: 'Bearer wrong-token-of-test' })).toBe(401);
  });

  it('a page of another name cannot ask (DNS rebinding)', async () => {
    const response = await fetch(`${open}/things`, { headers: { origin: 'http://evil.example' } });
    expect(response.status).toBe(403);
  });

  /** Sends pieces, one every half second, until the server ends the connection. Answers with what came, and after how many seconds it was ended. */
  const drip = (port: number, first: string, piece: string): Promise<{ readonly text: string; readonly seconds: number }> =>
    new Promise((resolve) => {
      const began = performance.now();
      const socket = connect({ port, host: '127.0.0.1' });
      let text = '';
      const timer = setInterval(() => piece !== '' && socket.writable && socket.write(piece), 500);
      socket.on('data', (bytes) => {
        text += bytes.toString('latin1');
      });
      socket.on('error', () => undefined);
      socket.on('close', () => {
        clearInterval(timer);
        resolve({ text, seconds: (performance.now() - began) / 1000 });
      });
      if (first !== '') socket.write(first);
    });

  it('a client that takes its time is cut off: for its headers, its body, its handshake, and for nothing at all', async () => {
    const port = Number(new URL(open).port);
    const slow = await Promise.all([
      drip(port, '', ''),
      drip(port, 'GET /api/v1/things HTTP/1.1\r\nHost: localhost\r\n', 'X-A: 1\r\n'),
      drip(
        port,
        'PUT /api/v1/connectors/shop/things HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{',
        ' ',
      ),
      drip(Number(new URL(secured).port), '', ''),
    ]);
    for (const { seconds } of slow) expect(seconds).toBeLessThan(16);
    expect(slow.map(({ text }) => text.slice(0, 12))).toEqual(['HTTP/1.1 408', 'HTTP/1.1 408', 'HTTP/1.1 408', '']);
    // Others were answered all the while, and are now.
    expect((await call(open, 'GET', '/things')).status).toBe(200);
  }, 30_000);

  it('bounds headers and bodies, and takes no form of a web page', async () => {
    const put = (headers: Record<string, string>, body: string): Promise<Response> =>
      fetch(`${open}/connectors/shop/things`, { method: 'PUT', headers, body });
    const json = { 'content-type': 'application/json' };
    expect((await fetch(`${open}/things`, { headers: { 'x-large': 'x'.repeat(20_000) } })).status).toBe(431);
    expect((await put(json, JSON.stringify({ how: 'x'.repeat(2 ** 20) }))).status).toBe(413);
    expect((await put({ 'content-type': 'text/plain' }, '{"how":"well"}')).status).toBe(415);
    expect((await put({ 'content-type': 'application/x-www-form-urlencoded' }, 'how=well')).status).toBe(415);
    expect((await put(json, '{"how": ')).status).toBe(400);
    expect((await put(json, '{"__proto__": {"how": "well"}}')).status).toBe(400);
    expect((await put(json, '{"how": "well"}')).status).toBe(200);
  });

  it('says all of it as OpenAPI', async () => {
    const { body } = await call(open, 'GET', '/openapi.json');
    const { openapi, paths } = body as { openapi: string; paths: Record<string, Record<string, { operationId: string; parameters: object[] }>> };
    expect(openapi).toBe('3.1.0');
    expect(Object.keys(paths)).toEqual(['/api/v1/things', '/api/v1/connectors/{connector}/things']);
    expect(paths['/api/v1/connectors/{connector}/things']).toMatchObject({
      get: {
        parameters: [
          { name: 'connector', in: 'path', required: true },
          { name: 'tables', in: 'query', required: false, schema: { type: 'array', items: { type: 'string' } } },
        ],
      },
      put: {
        requestBody: {
          required: true,
          content: {
            'application/json': { schema: { required: ['how'], properties: { how: { enum: ['well', 'badly'] } }, additionalProperties: false } },
          },
        },
      },
    });
  });
});
