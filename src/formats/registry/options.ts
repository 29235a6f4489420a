import { type ConfigOf, fields } from '../../plugin/field.ts';

/** Options of a format whose schemas stand in a registry: `format.registry`. */
export const registryFields = fields({
  urls: {
    kind: 'list',
    minItems: 1,
    about: 'Where the registry is reached, the root of its Confluent-compatible API. Several are of one registry: they are tried in turn.',
    example: ['http://registry:8081'],
  },
  user: { kind: 'string', optional: true, about: 'User name, where the registry asks for one.' },
  password: { kind: 'string', optional: true, secret: true, about: 'Password of the user.', example: '${env:REGISTRY_PASSWORD}' },
  token: { kind: 'string', optional: true, secret: true, about: 'Bearer token, instead of user and password.', example: '${env:REGISTRY_TOKEN}' },
  tls: {
    kind: 'object',
    optional: true,
    fields: {
      ca: {
        kind: 'string',
        optional: true,
        reaches: 'file',
        about: 'Path of the PEM file with the certificates to trust. Left out: those that Node.js trusts.',
        example: '/etc/sluice/ca.pem',
      },
      serverName: {
        kind: 'string',
        optional: true,
        about: "The name that the registry's certificate must carry, where it is not the host in `urls`.",
      },
    },
    about: "For `https://`. The registry's certificate is always verified.",
  },
  subjects: {
    kind: 'choice',
    choices: ['topic', 'record', 'topic-record'],
    default: 'topic',
    about:
      "How subjects are named: `topic`: `<topic>-key` and `<topic>-value`; `record`: the schema's own name; `topic-record`: both. The topic is the sink's, on NATS the subject.",
  },
  autoRegister: {
    kind: 'boolean',
    default: true,
    about: 'Register schemas that the registry does not have. `false`: they must stand there, and one that is missing stops the connector.',
  },
  normalize: {
    kind: 'boolean',
    default: false,
    about: 'Let the registry take schemas as the same that differ in form only (`normalize`).',
  },
  timeout: {
    kind: 'duration',
    default: '5s',
    minMs: 100,
    maxMs: 600_000,
    about: 'When the registry did not answer for so long, the call is given up and made again.',
  },
});

export type RegistryConfig = ConfigOf<typeof registryFields>;

interface Problem {
  readonly path: string;
  readonly message: string;
  readonly remedy: string;
}

/** What the field table cannot say; paths are of the format's section. */
export function validateRegistry(config: RegistryConfig): Problem[] {
  const problems: Problem[] = [];
  const wrong = (path: string, message: string, remedy: string): void => void problems.push({ path: `registry.${path}`, message, remedy });
  for (const [index, text] of config.urls.entries()) {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url === null || !/^https?:$/.test(url.protocol))
      wrong(`urls[${index}]`, 'is no URL of a registry', 'write http://host:port or https://host:port');
    else if (url.username !== '' || url.password !== '')
      wrong(`urls[${index}]`, 'holds a user or password', 'give them as "user" and "password", where they are kept out of logs');
    else if (url.search !== '' || url.hash !== '') wrong(`urls[${index}]`, 'has a query or a fragment', 'leave it out');
    else if (url.protocol === 'http:' && config.tls !== undefined)
      wrong(`urls[${index}]`, 'has no TLS, and "tls" is given', 'write https://, or leave "tls" out');
  }
  if ((config.user === undefined) !== (config.password === undefined)) wrong('user', 'and "password" belong together', 'give both, or none');
  if (config.user !== undefined && config.token !== undefined) wrong('token', 'and "user" are two ways to say who connects', 'give one of them');
  // It would be an error of Node.js at the first call.
  if (config.token !== undefined && !/^[\x21-\x7e]+$/.test(config.token))
    wrong('token', 'has a character that no HTTP header takes, such as a space or the end of a line', 'give the token alone');
  return problems;
}
