/** The registry's part of the HTTP API: the paths, parameters and answers of Confluent's. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { CompatibilityLevel } from '../compatibility/levels.ts';
import { invalidLevel, invalidSchema, notPermitted } from '../registry/errors.ts';
import {
  type GivenSchema,
  LEVEL_NAMES,
  type Registry,
  SCHEMA_TYPES,
  type SchemaType,
  type SubjectVersion,
  type Visibility,
} from '../registry/registry.ts';
import type { RouteGroup, Scope } from './listener.ts';

const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json';
/** Fields of a request that would change what is registered, and are not known here. */
const NOT_SUPPORTED = ['references', 'metadata', 'ruleSet', 'id', 'version', 'schemaTagsToAdd', 'schemaTagsToRemove'];

interface Request {
  readonly subject: string;
  readonly version: string;
  readonly id: string;
  query(name: string): string;
  is(name: string): boolean;
  readonly body: unknown;
}

export function registryRoutes(registry: Registry): RouteGroup {
  return {
    prefix: '/registry',
    register: (app) => {
      app.addHook('onSend', async (_request, reply) => void reply.header('content-type', CONTENT_TYPE));
      app.get('/', async () => ({}));
      subjectRoutes(app, registry);
      schemaRoutes(app, registry);
      configRoutes(app, registry);
      compatibilityRoutes(app, registry);
    },
  };
}

function subjectRoutes(app: FastifyInstance, registry: Registry): void {
  route(app, 'GET', '/subjects', ({ query, is }) => registry.subjects(visibility(is), query('subjectPrefix').replace(/^:\*:/, '')));
  const lookUp = async ({ subject, body, is }: Request): Promise<object> =>
    versionAnswer(await registry.lookUp(subject, given(body, is), is('deleted') ? 'all' : 'live'));
  route(app, 'POST', '/subjects/:subject', lookUp, 'read');
  route(app, 'DELETE', '/subjects/:subject', ({ subject, is }) => registry.deleteSubject(subject, is('permanent')));
  route(app, 'GET', '/subjects/:subject/versions', ({ subject, is }) => registry.versions(subject, visibility(is)));
  route(app, 'POST', '/subjects/:subject/versions', async ({ subject, body, is }) => ({ id: await registry.register(subject, given(body, is)) }));
  const version = ({ subject, version: named, is }: Request): Promise<SubjectVersion> =>
    registry.version(subject, named, is('deleted') ? 'all' : 'live');
  route(app, 'GET', '/subjects/:subject/versions/:version', async (request) => versionAnswer(await version(request)));
  route(app, 'GET', '/subjects/:subject/versions/:version/schema', async (request) => new Text((await version(request)).text));
  // Nothing is referenced: references are refused.
  route(app, 'GET', '/subjects/:subject/versions/:version/referencedby', async (request) => {
    await version(request);
    return [];
  });
  route(app, 'DELETE', '/subjects/:subject/versions/:version', ({ subject, version: named, is }) =>
    registry.deleteVersion(subject, named, is('permanent')),
  );
}

function schemaRoutes(app: FastifyInstance, registry: Registry): void {
  route(app, 'GET', '/schemas/types', async () => Object.keys(SCHEMA_TYPES));
  route(app, 'GET', '/schemas/ids/:id', async ({ id }) => {
    const { type, text } = await registry.schema(id);
    return { ...typeAnswer(type), schema: text };
  });
  route(app, 'GET', '/schemas/ids/:id/schema', async ({ id }) => new Text((await registry.schema(id)).text));
  route(app, 'GET', '/schemas/ids/:id/versions', ({ id, is }) => registry.usages(id, is('deleted') ? 'all' : 'live'));
  route(app, 'GET', '/schemas/ids/:id/subjects', async ({ id, is }) => [
    ...new Set((await registry.usages(id, is('deleted') ? 'all' : 'live')).map(({ subject }) => subject)),
  ]);
}

function configRoutes(app: FastifyInstance, registry: Registry): void {
  const answer = (level: CompatibilityLevel): object => ({ compatibilityLevel: levelName(level) });
  route(app, 'GET', '/config', async () => answer(await registry.globalLevel()));
  route(app, 'PUT', '/config', ({ body }) => setLevel(registry, null, body));
  route(app, 'DELETE', '/config', async () => answer(await registry.removeLevel(null)));
  route(app, 'GET', '/config/:subject', async ({ subject, is }) => answer(await registry.subjectLevel(subject, is('defaultToGlobal'))));
  route(app, 'PUT', '/config/:subject', ({ subject, body }) => setLevel(registry, subject, body));
  route(app, 'DELETE', '/config/:subject', async ({ subject }) => answer(await registry.removeLevel(subject)));
  route(app, 'GET', '/mode', async () => ({ mode: 'READWRITE' }));
}

function compatibilityRoutes(app: FastifyInstance, registry: Registry): void {
  const check = async ({ subject, body, is }: Request, version: string | null): Promise<object> => {
    const messages = await registry.check(subject, version, given(body, is));
    return { is_compatible: messages.length === 0, ...(is('verbose') ? { messages } : {}) };
  };
  route(app, 'POST', '/compatibility/subjects/:subject/versions', (request) => check(request, null), 'read');
  route(app, 'POST', '/compatibility/subjects/:subject/versions/:version', (request) => check(request, request.version), 'read');
}

/** An answer that is JSON already. */
class Text {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

function route(
  app: FastifyInstance,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  url: string,
  handle: (request: Request) => Promise<unknown>,
  scope: Scope = method === 'GET' ? 'read' : 'operate',
): void {
  app.route({
    method,
    url,
    config: { scope },
    handler: async (request) => {
      const answer = await handle(readRequest(request));
      return answer instanceof Text ? answer.text : JSON.stringify(answer);
    },
  });
}

function readRequest({ params, query, body }: FastifyRequest): Request {
  const named = (name: string): string => own(params, name);
  const asked = (name: string): string => own(query, name);
  return {
    subject: named('subject'),
    version: named('version'),
    id: named('id'),
    query: asked,
    is: (name) => asked(name).toLowerCase() === 'true',
    body,
  };
}

function own(from: unknown, name: string): string {
  const value = typeof from === 'object' && from !== null && Object.hasOwn(from, name) ? (from as Record<string, unknown>)[name] : '';
  return typeof value === 'string' ? value : '';
}

function visibility(is: Request['is']): Visibility {
  return is('deletedOnly') ? 'deleted' : is('deleted') ? 'all' : 'live';
}

function given(body: unknown, is: Request['is']): GivenSchema {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalidSchema('The body is an object with the schema as a string.');
  const request = new Map(Object.entries(body));
  const extra = NOT_SUPPORTED.find((name) => !isNothing(request.get(name)));
  if (extra !== undefined) throw notPermitted(`"${extra}" is not supported by this registry: give the whole schema as one text.`);
  const [text, type] = [request.get('schema'), request.get('schemaType') ?? 'AVRO'];
  if (typeof text !== 'string') throw invalidSchema('The body is an object with the schema as a string.');
  if (typeof type !== 'string' || !Object.hasOwn(SCHEMA_TYPES, type))
    throw invalidSchema(`This registry knows the schema types ${Object.keys(SCHEMA_TYPES).join(' and ')}.`);
  return { type: type as SchemaType, text, normalize: is('normalize') };
}

/** Clients send the fields of a response back, empty: -1 and 0 stand for none. */
function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === 0 || value === -1 || (Array.isArray(value) && value.length === 0);
}

async function setLevel(registry: Registry, subject: string | null, body: unknown): Promise<object> {
  const given = typeof body === 'object' && body !== null ? own(body, 'compatibility') : '';
  const level = LEVEL_NAMES.get(given.toUpperCase());
  if (level === undefined) throw invalidLevel([...LEVEL_NAMES.keys()]);
  await registry.setLevel(subject, level);
  return { compatibility: levelName(level) };
}

function levelName(level: CompatibilityLevel): string {
  return [...LEVEL_NAMES].find(([, named]) => named === level)?.[0] ?? '';
}

/** Of Avro the type is not said, as clients that know no other expect it. */
function typeAnswer(type: SchemaType): object {
  return type === 'AVRO' ? {} : { schemaType: type };
}

function versionAnswer({ subject, version, id, type, text }: SubjectVersion): object {
  return { subject, version, id, ...typeAnswer(type), schema: text };
}
