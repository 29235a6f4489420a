/** The operations of a daemon as a REST API, with their OpenAPI document. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { ConfigurationError } from '../config/load.ts';
import { SluiceError } from '../plugin/error.ts';
import type { RouteGroup } from './listener.ts';
import { openApiDocument } from './openapi.ts';
import { type Operation, REQUEST_INVALID, readArguments } from './operation.ts';
import { redacted } from './redacted.ts';

export const API_PREFIX = '/api/v1';

/** Codes of errors that are the request's own. */
const WRONG: ReadonlySet<string> = new Set([REQUEST_INVALID.code, 'SLUICE_CONNECTOR_MASKED']);

/** Codes of errors that say that what is named does not exist. */
const MISSING: ReadonlySet<string> = new Set(['SLUICE_CONNECTOR_UNKNOWN', 'SLUICE_SCHEMA_TABLE_UNKNOWN', 'SLUICE_DEAD_LETTER_UNKNOWN']);

export interface ApiOptions {
  readonly operations: readonly Operation[];
  /** Hides secrets in a text (I12). */
  readonly redact: (text: string) => string;
}

export function apiRoutes({ operations, redact }: ApiOptions): RouteGroup {
  return {
    prefix: API_PREFIX,
    register: (app) => {
      app.get('/openapi.json', async () => openApiDocument(operations, API_PREFIX));
      for (const operation of operations) for (const path of operation.paths) addRoute(app, operation, path, redact);
    },
  };
}

function addRoute(app: FastifyInstance, operation: Operation, url: string, redact: (text: string) => string): void {
  app.route({
    method: operation.method,
    url,
    config: { scope: operation.scope },
    handler: async (request, reply) => {
      try {
        const body = operation.body === undefined || request.body === undefined ? request.body : { [operation.body]: request.body };
        const given = readArguments(operation, merged(request.query, body, request.params));
        const answer = redacted(await operation.run(given), redact);
        return operation.creates === true ? reply.status(201).send(answer) : answer;
      } catch (error) {
        if (!(error instanceof SluiceError)) throw error;
        return error instanceof ConfigurationError ? answerProblems(error, reply, redact) : answerError(error, reply, redact);
      }
    },
  });
}

/** What the path says stands above the rest. */
function merged(...parts: readonly unknown[]): unknown {
  const all: [string, unknown][] = [];
  for (const part of parts) {
    if (part === undefined || part === null) continue;
    if (typeof part !== 'object' || Array.isArray(part)) return part;
    all.push(...Object.entries(part));
  }
  return Object.fromEntries(all);
}

/** A configuration that is refused, with all that is wrong in it. */
function answerProblems(
  { code, message, remedy, problems }: ConfigurationError,
  reply: FastifyReply,
  redact: (text: string) => string,
): FastifyReply {
  const shown = problems.map((each) => ({ path: each.path, code: each.code, message: redact(each.message), remedy: redact(each.remedy) }));
  return reply.status(400).send({ error_code: 400, code, message, remedy, problems: shown });
}

function answerError({ code, message, remedy, kind }: SluiceError, reply: FastifyReply, redact: (text: string) => string): FastifyReply {
  const status = MISSING.has(code) ? 404 : WRONG.has(code) ? 400 : 409;
  return reply.status(status).send({ error_code: status, code, message: redact(message), remedy: redact(remedy), retry: kind.retry });
}
