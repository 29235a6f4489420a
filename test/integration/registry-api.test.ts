/** The built-in registry's HTTP API, request by request, on a real listener and a real state. */
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import { type HttpListener, startHttp } from '../../src/http/listener.ts';
import { registryRoutes } from '../../src/http/registry-routes.ts';
import { Registry } from '../../src/registry/registry.ts';
import { openLevel } from '../../src/state/level.ts';
import { openStore, type StateStore } from '../../src/state/store.ts';
import { type Answer, type Asked, ask, REGISTRY_JSON } from '../support/registry-client.ts';

const TOKEN = 'a-token-of-the-test';
const log: string[] = [];
const keep = (message: string): void => void log.push(message);
const logger = { debug: keep, info: keep, warn: keep, error: keep };

let directory: string;
let store: StateStore;
let open: HttpListener;
let guarded: HttpListener;
let base: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sluice-registry-'));
  const runtime = nodeRuntime();
  store = await openStore({ directory, runtime, openEngine: openLevel });
  const groups = [registryRoutes(new Registry({ store, runtime, dataDir: directory }))];
  open = await startHttp({ host: '127.0.0.1', port: 0, token: null, readToken: null, tls: null, groups, runtime, log: logger });
  guarded = await startHttp({ host: '127.0.0.1', port: 0, token: TOKEN, readToken: null, tls: null, groups, runtime, log: logger });
  base = `${open.url}/registry`;
});

afterAll(async () => {
  await open.close();
  await guarded.close();
  await store.close();
  await rm(directory, { recursive: true });
});

const call = (method: string, path: string, asked: Asked = {}): Promise<Answer> => ask(base, method, path, asked);
const avro = (...fields: readonly (readonly [name: string, type: unknown])[]): string =>
  JSON.stringify({ type: 'record', name: 'r', fields: fields.map(([name, type]) => ({ name, type })) });

/** Each test has subjects of its own. */
let subject = '';
let made = 0;
beforeEach(() => {
  subject = `s${made++}-value`;
});

async function register(schema: string, more: object = {}): Promise<number> {
  const { status, body, text } = await call('POST', `/subjects/${subject}/versions`, { body: { schema, ...more } });
  expect(status, text).toBe(200);
  return (body as { id: number }).id;
}

const refused = (status: number, code: number): object => ({ status, type: REGISTRY_JSON, body: { error_code: code, message: expect.any(String) } });

describe('as the documentation of the API has it', () => {
  it('a schema is registered and read back by version, by id, and by itself', async () => {
    const schema = avro(['x', 'int']);
    const id = await register(schema);
    expect(await register(schema)).toBe(id);
    expect(await call('GET', '/subjects')).toMatchObject({ status: 200, type: REGISTRY_JSON, body: expect.arrayContaining([subject]) });
    expect((await call('GET', `/subjects?subjectPrefix=${subject}`)).body).toEqual([subject]);
    expect((await call('GET', `/subjects/${subject}/versions`)).body).toEqual([1]);
    for (const version of ['1', 'latest', '-1'])
      expect((await call('GET', `/subjects/${subject}/versions/${version}`)).body).toEqual({ subject, version: 1, id, schema });
    expect((await call('GET', `/subjects/${subject}/versions/1/schema`)).text).toBe(schema);
    expect((await call('GET', `/subjects/${subject}/versions/1/referencedby`)).body).toEqual([]);
    expect((await call('GET', `/schemas/ids/${id}`)).body).toEqual({ schema });
    expect((await call('GET', `/schemas/ids/${id}/schema`)).text).toBe(schema);
    expect((await call('GET', `/schemas/ids/${id}/subjects`)).body).toContain(subject);
    expect((await call('GET', `/schemas/ids/${id}/versions`)).body).toContainEqual({ subject, version: 1 });
    expect((await call('POST', `/subjects/${subject}`, { body: { schema } })).body).toEqual({ subject, version: 1, id, schema });
  });

  it('a JSON Schema is told as one', async () => {
    const schema = '{"type":"object","title":"json only"}';
    const id = await register(schema, { schemaType: 'JSON' });
    expect((await call('GET', `/schemas/ids/${id}`)).body).toEqual({ schemaType: 'JSON', schema });
    expect((await call('GET', `/subjects/${subject}/versions/1`)).body).toEqual({ subject, version: 1, id, schemaType: 'JSON', schema });
    expect((await call('GET', '/schemas/types')).body).toEqual(['AVRO', 'JSON']);
    expect((await call('GET', '/mode')).body).toEqual({ mode: 'READWRITE' });
  });

  it('a subject may have any name that a path can hold', async () => {
    const name = encodeURIComponent('a/b c%ü:.x');
    expect((await call('POST', `/subjects/${name}/versions`, { body: { schema: '"int"' } })).status).toBe(200);
    expect((await call('GET', `/subjects/${name}/versions/1`)).body).toMatchObject({ subject: 'a/b c%ü:.x' });
  });

  it('what is not there has its code', async () => {
    await register('"int"');
    const nobody = '/subjects/nobody';
    expect(await call('GET', `${nobody}/versions`)).toMatchObject(refused(404, 40401));
    expect(await call('GET', `${nobody}/versions/latest`)).toMatchObject(refused(404, 40401));
    expect(await call('POST', nobody, { body: { schema: '"int"' } })).toMatchObject(refused(404, 40401));
    expect(await call('DELETE', nobody)).toMatchObject(refused(404, 40401));
    expect(await call('GET', `/subjects/${subject}/versions/2`)).toMatchObject(refused(404, 40402));
    expect(await call('DELETE', `/subjects/${subject}/versions/2`)).toMatchObject(refused(404, 40402));
    expect(await call('POST', `/subjects/${subject}`, { body: { schema: '"string"' } })).toMatchObject(refused(404, 40403));
    expect(await call('GET', '/schemas/ids/999999')).toMatchObject(refused(404, 40403));
    expect(await call('GET', '/schemas/ids/x')).toMatchObject(refused(404, 40403));
    expect(await call('GET', `/config/${subject}`)).toMatchObject(refused(404, 40408));
    expect(await call('DELETE', `/config/${subject}`)).toMatchObject(refused(404, 40401));
    expect(await call('GET', '/nothing')).toMatchObject({ status: 404, body: { error_code: 404 } });
  });

  it('what is wrong has its code', async () => {
    const versions = `/subjects/${subject}/versions`;
    expect(await call('POST', versions, { body: { schema: '{"type":"nothing"}' } })).toMatchObject(refused(422, 42201));
    expect(await call('POST', versions, { body: { schema: '{' } })).toMatchObject(refused(422, 42201));
    expect(await call('POST', versions, { body: { schema: '{"type":"int","type":"long"}' } })).toMatchObject(refused(422, 42201));
    expect(await call('POST', versions, { body: { schemaType: 'JSON', schema: '{"type":"text"}' } })).toMatchObject(refused(422, 42201));
    const protobuf = await call('POST', versions, { body: { schemaType: 'PROTOBUF', schema: 'syntax = "proto3";' } });
    expect(protobuf).toMatchObject(refused(422, 42201));
    expect((protobuf.body as { message: string }).message).toContain('AVRO and JSON');
    expect(await call('POST', versions, { body: {} })).toMatchObject(refused(422, 42201));
    expect(await call('POST', versions, { body: [] })).toMatchObject(refused(422, 42201));
    const references = [{ name: 'other', subject: 'other-value', version: 1 }];
    expect(await call('POST', versions, { body: { schema: '"int"', references } })).toMatchObject(refused(422, 42205));
    expect(await call('POST', versions, { body: { schema: '"int"', id: 77 } })).toMatchObject(refused(422, 42205));
    expect(await call('GET', `${versions}/0`)).toMatchObject(refused(422, 42202));
    expect(await call('GET', `${versions}/x`)).toMatchObject(refused(422, 42202));
    expect(await call('PUT', '/config', { body: { compatibility: 'SOME' } })).toMatchObject(refused(422, 42203));
    expect(await call('PUT', '/config', { body: { compatibility: '__proto__' } })).toMatchObject(refused(422, 42203));
    expect(await call('POST', '/subjects/a%00b/versions', { body: { schema: '"int"' } })).toMatchObject(refused(422, 42208));
    expect(await call('POST', versions, { body: 'x' })).toMatchObject(refused(400, 400));
    expect(await call('POST', versions, { body: '{}', headers: { 'content-type': 'text/plain' } })).toMatchObject(refused(415, 415));
  });

  it('empty fields that clients send back with a schema are none', async () => {
    expect(await register('"int"', { references: [], metadata: null, ruleSet: null, id: -1, version: 0 })).toBeGreaterThan(0);
  });

  it('BACKWARD is the level until another is set, for all or for one subject', async () => {
    expect((await call('GET', '/config')).body).toEqual({ compatibilityLevel: 'BACKWARD' });
    await register(avro(['x', 'long']));
    const narrower = { body: { schema: avro(['x', 'int']) } };
    expect(await call('POST', `/subjects/${subject}/versions`, narrower)).toMatchObject(refused(409, 409));
    const check = `/compatibility/subjects/${subject}/versions`;
    expect((await call('POST', `${check}/latest`, narrower)).body).toEqual({ is_compatible: false });
    expect((await call('POST', `${check}/1?verbose=true`, narrower)).body).toEqual({
      is_compatible: false,
      messages: [expect.stringContaining('/fields/0/type')],
    });
    expect((await call('POST', `${check}/2`, narrower)).body).toMatchObject({ error_code: 40402 });
    expect((await call('PUT', `/config/${subject}`, { body: { compatibility: 'forward_transitive' } })).body).toEqual({
      compatibility: 'FORWARD_TRANSITIVE',
    });
    expect((await call('POST', `${check}?verbose=true`, narrower)).body).toEqual({ is_compatible: true, messages: [] });
    expect((await call('GET', `/config/${subject}`)).body).toEqual({ compatibilityLevel: 'FORWARD_TRANSITIVE' });
    expect((await call('POST', `/subjects/${subject}/versions`, narrower)).status).toBe(200);
    expect((await call('DELETE', `/config/${subject}`)).body).toEqual({ compatibilityLevel: 'FORWARD_TRANSITIVE' });
    expect((await call('GET', `/config/${subject}?defaultToGlobal=true`)).body).toEqual({ compatibilityLevel: 'BACKWARD' });
    expect((await call('PUT', '/config', { body: { compatibility: 'NONE' } })).body).toEqual({ compatibility: 'NONE' });
    expect((await call('POST', check, { body: { schema: '"string"' } })).body).toEqual({ is_compatible: true });
    expect((await call('DELETE', '/config')).body).toEqual({ compatibilityLevel: 'NONE' });
    expect((await call('GET', '/config')).body).toEqual({ compatibilityLevel: 'BACKWARD' });
  });

  it('versions are deleted softly, then for good', async () => {
    const one = await register(avro());
    await register(avro(['x', ['null', 'int']]).replace(']}]', '],"default":null}]'));
    const version = `/subjects/${subject}/versions/1`;
    expect(await call('DELETE', `${version}?permanent=true`)).toMatchObject(refused(404, 40407));
    expect((await call('DELETE', version)).body).toBe(1);
    expect(await call('DELETE', version)).toMatchObject(refused(404, 40406));
    expect(await call('GET', version)).toMatchObject(refused(404, 40402));
    expect((await call('GET', `${version}?deleted=true`)).body).toMatchObject({ id: one });
    expect((await call('GET', `/subjects/${subject}/versions`)).body).toEqual([2]);
    expect((await call('GET', `/subjects/${subject}/versions?deleted=true`)).body).toEqual([1, 2]);
    expect((await call('GET', `/subjects/${subject}/versions?deletedOnly=true`)).body).toEqual([1]);
    expect((await call('DELETE', `${version}?permanent=true`)).body).toBe(1);
    expect(await call('GET', `${version}?deleted=true`)).toMatchObject(refused(404, 40402));
  });

  it('a subject is deleted softly, comes back with a new version, and is deleted for good', async () => {
    const id = await register('"double"');
    const path = `/subjects/${subject}`;
    expect(await call('DELETE', `${path}?permanent=true`)).toMatchObject(refused(404, 40405));
    expect((await call('DELETE', path)).body).toEqual([1]);
    expect(await call('DELETE', path)).toMatchObject(refused(404, 40404));
    expect(await call('GET', `${path}/versions`)).toMatchObject(refused(404, 40401));
    expect((await call('GET', '/subjects')).body).not.toContain(subject);
    expect((await call('GET', '/subjects?deleted=true')).body).toContain(subject);
    expect((await call('GET', `/schemas/ids/${id}`)).body).toEqual({ schema: '"double"' });
    expect(await register('"double"')).toBe(id);
    expect((await call('GET', `${path}/versions`)).body).toEqual([2]);
    await call('DELETE', path);
    expect((await call('DELETE', `${path}?permanent=true`)).body).toEqual([1, 2]);
    expect(await call('GET', `/schemas/ids/${id}`)).toMatchObject(refused(404, 40403));
  });
});

describe('who may ask', () => {
  /** `fetch` writes the Host itself. */
  const withHost = (host: string, headers: Record<string, string> = {}): Promise<number> =>
    new Promise((resolve, reject) => {
      const asked = request(`${base}/subjects`, { headers: { ...headers, host }, agent: false }, (response) => {
        response.resume().once('end', () => resolve(response.statusCode ?? 0));
      });
      asked.once('error', reject).end();
    });

  it('no page of another site in a browser on this machine (DNS rebinding)', async () => {
    expect(await withHost('localhost')).toBe(200);
    expect(await withHost('evil.example')).toBe(403);
    expect(await withHost('localhost', { origin: 'https://evil.example' })).toBe(403);
  });

  it('whoever has the token, and it is never shown (I12)', async () => {
    const path = '/subjects';
    const secured = `${guarded.url}/registry`;
    const basic = (password: string): Asked => ({ headers: { authorization: `Basic ${Buffer.from(`any:${password}`).toString('base64')}` } });
    const answers = [
      await ask(secured, 'GET', path),
      await ask(secured, 'GET', path, { headers: { authorization: 'Bearer wrong-token-of-the-test' } }),
      await ask(secured, 'GET', path, basic('')),
      await ask(guarded.url, 'GET', '/nothing'),
      await ask(guarded.url, 'GET', '/'),
    ];
    for (const answer of answers) expect(answer).toMatchObject({ status: 401, body: { error_code: 401 } });
    expect((await ask(secured, 'GET', path, { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(200);
    expect((await ask(secured, 'GET', path, basic(TOKEN))).status).toBe(200);
    expect(JSON.stringify([answers, log])).not.toContain(TOKEN);
  });
});

describe('a hostile client is answered with 4xx, at once', () => {
  const hostile: readonly (readonly [string, () => Asked])[] = [
    ['a body that is too large', () => ({ body: { schema: 'x'.repeat(2 ** 20) } })],
    ['a schema that is nested without end', () => ({ body: { schema: `${'['.repeat(200_000)}${']'.repeat(200_000)}` } })],
    ['a body that is nested without end', () => ({ body: `${'['.repeat(200_000)}${']'.repeat(200_000)}` })],
    ['names of the prototype', () => ({ body: '{"__proto__":{"schema":"\\"int\\""},"constructor":{"prototype":{"schema":"x"}}}' })],
    ['a type called __proto__', () => ({ body: { schemaType: '__proto__', schema: '{}' } })],
    [
      'a schema that is thousands of arrays deep in names',
      () => ({ body: { schema: '{"type":"record","name":"r","fields":[{"name":"a","type":"s"}]}' } }),
    ],
  ];
  it.each(hostile)('%s', async (_, asked) => {
    const began = performance.now();
    const { status, text } = await call('POST', `/subjects/${subject}/versions`, asked());
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(text).not.toMatch(/\n\s+at /);
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  it('schemas made to be compared without end', async () => {
    const worst = (title: string): object => {
      const parts = Array.from({ length: 40 }, (_, at) => ({ oneOf: [{ minimum: at }, { maximum: at + 1 }, { pattern: '(a+)+$' }] }));
      return { schemaType: 'JSON', schema: JSON.stringify({ title, allOf: parts, properties: { __proto__: {}, a: { $ref: '#' } } }) };
    };
    expect((await call('POST', `/subjects/${subject}/versions`, { body: worst('one') })).status).toBe(200);
    const began = performance.now();
    expect(await call('POST', `/subjects/${subject}/versions`, { body: worst('two') })).toMatchObject(refused(409, 409));
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  it('a path that is not well formed, and a method that there is not', async () => {
    expect(await call('GET', '/subjects/%zz/versions')).toMatchObject({ status: 400 });
    expect(await call('PATCH', '/config')).toMatchObject({ status: 404 });
  });

  it('too many requests', async () => {
    // One behind the other on one connection: faster than a client that waits for answers.
    const asked = 6_000;
    const socket = connect({ port: Number(new URL(guarded.url).port), host: '127.0.0.1' });
    let received = '';
    const statuses = (): readonly string[] => [...received.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status ?? '');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject).setEncoding('latin1');
      socket.on('data', (text: string) => {
        received += text;
        if (text.includes('HTTP/1.1') && statuses().length === asked) resolve();
      });
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(asked));
    });
    socket.destroy();
    expect(new Set(statuses())).toEqual(new Set(['401', '429']));
    expect(received).toContain('retry-after: 1');
  });

  it('a request that never ends holds no other one up, and closing waits for nobody', async () => {
    const socket = connect({ port: Number(new URL(open.url).port), host: '127.0.0.1' });
    socket.on('error', () => undefined);
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    socket.write('POST /registry/subjects/x/versions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{');
    expect((await call('GET', '/mode')).status).toBe(200);
    const began = performance.now();
    await open.close();
    expect(performance.now() - began).toBeLessThan(2_000);
    socket.destroy();
  });
});
