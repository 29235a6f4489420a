import { type ConfigOf, fields } from '#plugin';
import { templateProblem } from './subject.ts';

/** Options of a NATS sink, as they stand under `sink` in a connector file. */
export const natsFields = fields({
  servers: {
    kind: 'list',
    minItems: 1,
    about: 'Servers of one NATS system: `nats://host:port`, or `tls://host:port` where TLS is required. One that answers is used.',
    example: ['nats://nats-1:4222', 'nats://nats-2:4222'],
  },
  stream: {
    kind: 'string',
    pattern: /^[^\s.*>/\\]{1,255}$/u,
    patternHint: 'up to 255 characters without white space, dots, slashes, `*` and `>`',
    about: 'The JetStream stream.',
    example: 'SHOP',
  },
  subject: {
    kind: 'string',
    default: '{connector}.{schema}.{table}',
    about:
      "The subject of a table's messages. Known are `{connector}`, `{schema}` (the database where there are no schemas) and `{table}`; in names, dots, white space, `*` and `>` become `_`.",
  },
  createStream: { kind: 'boolean', default: true, about: 'Create the stream if it does not exist.' },
  exclusive: {
    kind: 'boolean',
    default: true,
    about:
      "This connector is the stream's only writer, and many messages are in flight at once. `false`: several connectors write into it, and one message per subject is in flight, which is slower.",
  },
  replicas: { kind: 'integer', default: 1, min: 1, max: 5, about: 'Replicas of a stream that is created; an existing one is left as it is.' },
  storage: { kind: 'choice', choices: ['file', 'memory'], default: 'file', about: 'Storage of a stream that is created.' },
  auth: {
    kind: 'object',
    optional: true,
    fields: {
      user: { kind: 'string', optional: true, about: 'User name.' },
      password: { kind: 'credential', optional: true, secret: true, about: 'Password of the user.', example: '${env:NATS_PASSWORD}' },
      token: { kind: 'credential', optional: true, secret: true, about: 'Token, where the server asks for one.', example: '${env:NATS_TOKEN}' },
      nkey: { kind: 'string', optional: true, secret: true, about: 'Seed of an nkey (`SU…`).', example: '${file:/etc/sluice/nats.nk}' },
      credentials: {
        kind: 'string',
        optional: true,
        reaches: 'file',
        about: 'Path of a credentials file (JWT and seed). It is read for each connection, so that it may be replaced.',
        example: '/etc/sluice/nats.creds',
      },
    },
    about: 'Who connects: user and password, or one of token, nkey and credentials.',
  },
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
      cert: { kind: 'string', optional: true, reaches: 'file', about: 'Path of the PEM file of the client certificate.' },
      key: { kind: 'string', optional: true, reaches: 'file', about: "Path of the PEM file of the client certificate's private key." },
      serverName: {
        kind: 'string',
        optional: true,
        about: "The name that the server's certificate must carry, where it is not the host in `servers`.",
      },
    },
    about: "With this section, be it empty, TLS is required. The server's certificate is always verified.",
  },
  window: {
    kind: 'object',
    fields: {
      messages: { kind: 'integer', default: 4096, min: 1, max: 65_536, about: 'Messages in flight at most.' },
      bytes: {
        kind: 'size',
        default: '8MiB',
        minBytes: 1,
        maxBytes: 1024 * 1024 * 1024,
        about: 'Bytes in flight at most; a larger message goes alone.',
      },
    },
    about: 'How much is sent before it is confirmed.',
  },
  publishTimeout: {
    kind: 'duration',
    default: '5s',
    minMs: 100,
    maxMs: 600_000,
    about: 'When nothing was confirmed for so long, the connection is given up and a new one is made.',
  },
});

export type NatsConfig = ConfigOf<typeof natsFields>;

/** Where a server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
  /** `tls://` */
  readonly tls: boolean;
}

const DEFAULT_PORT = 4222;

/** `nats://host:port`, `tls://host:port` or `host:port`; null if it is none of them. */
export function parseAddress(text: string): Address | null {
  const match = /^(?:(nats|tls):\/\/)?(\[[0-9a-fA-F:.]+\]|[^\s:/@[\]]+)(?::(\d{1,5}))?\/?$/.exec(text);
  if (match === null) return null;
  const port = match[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (port < 1 || port > 65_535) return null;
  return { host: (match[2] as string).replace(/^\[|\]$/g, ''), port, tls: match[1] === 'tls' };
}

/** Whether a connection to it does not leave this machine. */
export function isLocalHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** For messages: the servers without anything that could be secret. */
export function addressText({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

type Problem = { readonly path: string; readonly message: string; readonly remedy: string };

/** Checks that the field table cannot say. */
export function validateNats(config: NatsConfig): readonly Problem[] {
  const problems: Problem[] = [];
  config.servers.forEach((server, index) => {
    if (parseAddress(server) !== null) return;
    const remedy = /@/.test(server) ? 'Write nats://host:port and put user and password under "auth".' : 'Write nats://host:port or tls://host:port.';
    problems.push({ path: `servers[${index}]`, message: 'This is no address of a NATS server.', remedy });
  });
  const template = templateProblem(config.subject);
  if (template !== null) {
    problems.push({
      path: 'subject',
      message: `This is no template of a subject: ${template}.`,
      remedy: 'Use parts of letters, digits, "-", "_" and {connector}, {schema}, {table}, with dots between them.',
    });
  }
  return [...problems, ...authProblems(config.auth), ...tlsProblems(config.tls)];
}

function authProblems(auth: NatsConfig['auth']): Problem[] {
  if (auth === undefined) return [];
  const ways = [auth.user ?? auth.password, auth.token, auth.nkey, auth.credentials].filter((way) => way !== undefined).length;
  if (ways > 1) {
    return [
      {
        path: 'auth',
        message: 'More than one way to authenticate is given.',
        remedy: 'Keep user and password, or one of token, nkey and credentials.',
      },
    ];
  }
  if ((auth.user === undefined) !== (auth.password === undefined)) {
    return [{ path: 'auth', message: 'User and password belong together.', remedy: 'Give both.' }];
  }
  return [];
}

function tlsProblems(tls: NatsConfig['tls']): Problem[] {
  if (tls === undefined || (tls.cert === undefined) === (tls.key === undefined)) return [];
  return [{ path: 'tls', message: 'A client certificate and its key belong together.', remedy: 'Give both "cert" and "key".' }];
}
