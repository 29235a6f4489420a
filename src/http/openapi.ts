import { VERSION } from '../version.ts';
import type { Argument, Operation } from './operation.ts';

const ERROR = { $ref: '#/components/schemas/Error' } as const;

/** The OpenAPI 3.1 document of the operations, at paths below `prefix`. */
export function openApiDocument(operations: readonly Operation[], prefix: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) {
    for (const path of operation.paths) {
      const shown = `${prefix}${path.replace(/:(\w+)/g, '{$1}')}`;
      paths[shown] = { ...paths[shown], [operation.method.toLowerCase()]: described(operation, path) };
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Sluice', version: VERSION, description: 'What a running Sluice daemon can be asked for.' },
    security: [{ token: [] }, {}],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: {
        Error: {
          type: 'object',
          required: ['error_code', 'message'],
          properties: {
            error_code: { type: 'integer', description: 'The HTTP status.' },
            code: { type: 'string', description: 'The stable code of the error, `SLUICE_…`.' },
            message: { type: 'string' },
            remedy: { type: 'string' },
            retry: { type: 'string', enum: ['auto', 'manual', 'never'] },
            problems: {
              type: 'array',
              description: 'Of a configuration that is refused: all that is wrong in it.',
              items: {
                type: 'object',
                properties: { path: { type: 'string' }, code: { type: 'string' }, message: { type: 'string' }, remedy: { type: 'string' } },
              },
            },
          },
        },
      },
    },
  };
}

function described({ id, method, summary, scope, arguments: all, body: whole, creates }: Operation, path: string): object {
  const inPath = new Set([...path.matchAll(/:(\w+)/g)].map(([, name]) => name));
  const entries = Object.entries(all);
  const pathParameters = entries
    .filter(([name]) => inPath.has(name))
    .map(([name, argument]) => ({ ...parameter(name, argument), in: 'path', required: true }));
  const rest = entries.filter(([name]) => !inPath.has(name) && (name !== 'connector' || inPath.size === 0));
  const hasBody = method === 'POST' || method === 'PUT';
  const inQuery = hasBody && whole === undefined ? [] : rest.filter(([name]) => name !== whole);
  const queryParameters = inQuery.map(([name, argument]) => ({ ...parameter(name, argument), in: 'query', required: argument.isRequired === true }));
  const required = rest.filter(([, { isRequired }]) => isRequired === true).map(([name]) => name);
  const schema =
    whole === undefined
      ? {
          type: 'object',
          additionalProperties: false,
          required,
          properties: Object.fromEntries(rest.map(([name, argument]) => [name, { ...schemaOf(argument), description: argument.about }])),
        }
      : { type: 'object', description: all[whole]?.about };
  const body = { required: required.length > 0, content: { 'application/json': { schema } } };
  const failed = (description: string): object => ({ description, content: { 'application/json': { schema: ERROR } } });
  return {
    operationId: id.replace('/', '.'),
    summary,
    description: `Scope: ${scope}.`,
    parameters: [...pathParameters, ...queryParameters],
    ...(hasBody && rest.length > 0 ? { requestBody: body } : {}),
    responses: {
      [creates === true ? '201' : '200']: { description: 'Done.', content: { 'application/json': {} } },
      '400': failed('The request is not understood.'),
      '401': failed('The token is missing or wrong, or its scope too small.'),
      '404': failed('What is named does not exist.'),
      '409': failed('It cannot be done as things stand; the answer says why, and what to do.'),
    },
  };
}

function parameter(name: string, argument: Argument): object {
  return { name, description: argument.about, schema: schemaOf(argument) };
}

function schemaOf({ kind, choices }: Argument): object {
  if (kind === 'object') return { type: 'object' };
  const text = { type: 'string', ...(choices === undefined ? {} : { enum: choices }) };
  return kind === 'string' ? text : { type: 'array', items: text };
}
