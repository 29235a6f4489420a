import { type ConfigOf, fields, snapshotFields, snapshotProblems } from '#plugin';
import { isPatternError, parsePattern } from './patterns.ts';

/** Options of a Postgres source, as they stand under `source` in a connector file. */
export const postgresFields = fields({
  url: {
    kind: 'string',
    about:
      'Where the server is: `postgres://user@host:port/database`. A Unix socket is written with its directory escaped, `postgres://user@%2Fvar%2Frun%2Fpostgresql/database`. Not a connection pooler.',
    example: 'postgres://sluice@db.internal:5432/shop',
  },
  password: {
    kind: 'credential',
    optional: true,
    secret: true,
    asked: true,
    about: 'The password of the role, or its token (RDS IAM). Left out, a server that asks for one is an error.',
    example: '${env:SHOP_DB_PASSWORD}',
  },
  tls: {
    kind: 'object',
    fields: {
      mode: {
        kind: 'choice',
        choices: ['disable', 'require', 'verify-ca', 'verify-full'],
        optional: true,
        about:
          "As libpq's sslmode. Left out: `verify-full` for every host but loopback and Unix sockets, `disable` for those. There is no mode that falls back to plain text.",
      },
      ca: {
        kind: 'string',
        optional: true,
        reaches: 'file',
        about: 'Path of the PEM file with the certificates to trust (or the PEM text). Left out: the certificates that Node.js trusts.',
        example: '/etc/sluice/ca.pem',
      },
      cert: { kind: 'string', optional: true, reaches: 'file', about: 'Path of the PEM file of the client certificate (or the PEM text).' },
      key: {
        kind: 'string',
        optional: true,
        secret: true,
        orPath: true,
        reaches: 'file',
        about: "Path of the PEM file of the client certificate's private key (or the PEM text).",
      },
      serverName: {
        kind: 'string',
        optional: true,
        about: "The name that the server's certificate must carry, where it is not the host of the URL (a tunnel).",
      },
    },
    about: 'How the connection is encrypted and the server made sure of.',
  },
  tables: {
    kind: 'list',
    minItems: 1,
    about:
      'Tables to capture: `schema.table`, with `*` for any characters, or a regular expression between slashes that must match the whole of `schema.table`. Names are case-sensitive. A partitioned table is captured whole, under its own name.',
    example: ['public.orders', 'public.customer_*'],
  },
  newTables: {
    kind: 'choice',
    choices: ['capture', 'report'],
    default: 'capture',
    about:
      'What becomes of a table that matches `tables` and has come since: created, or renamed so that it matches. `capture`: it is added to the publication and copied, and so arrives whole. `report`: it is said, and left out until `tables` names it.',
  },
  newTablesInterval: {
    kind: 'duration',
    default: '10s',
    minMs: 100,
    about: 'How often it is looked for new tables while the connector runs.',
  },
  columns: { kind: 'notYet', about: 'Columns to leave out.' },
  insertOnly: {
    kind: 'list',
    default: [],
    about:
      'Patterns of captured tables without a replica identity of which inserts and truncates are all that is wanted. Their updates and deletes are not captured.',
    example: ['public.audit_log'],
  },
  slot: {
    kind: 'string',
    optional: true,
    pattern: /^[a-z0-9_]{1,63}$/,
    patternHint: 'up to 63 lower-case letters, digits and underscores',
    about:
      'The replication slot. Used as it is if it exists, created if it does not. Default: `sluice_` and the name of the connector, `-` becoming `_`.',
  },
  publication: {
    kind: 'string',
    optional: true,
    pattern: /^[^\0]{1,55}$/u,
    patternHint: 'up to 55 characters',
    about:
      'The publication. Created for exactly the captured tables if it does not exist; tables that are missing are added, and those that it has added itself are taken out again when `tables` no longer matches them. Default: as the slot. A second one, with `_inserts` added to its name, holds the tables of `insertOnly`.',
  },
  snapshot: { kind: 'object', fields: snapshotFields, about: 'Copying the rows that are there already.' },
  heartbeat: {
    kind: 'object',
    fields: {
      enabled: {
        kind: 'boolean',
        default: true,
        about: 'Whether to write heartbeats, so that idle tables in a busy database do not hold the log back.',
      },
      interval: { kind: 'duration', default: '10s', minMs: 100, about: 'Time between two heartbeats.' },
    },
    about: 'A heartbeat is one small transactional message in the log (`pg_logical_emit_message`); it needs no table. Never written on a standby.',
  },
  messages: {
    kind: 'list',
    default: [],
    about:
      'Prefixes of logical decoding messages (`pg_logical_emit_message`) to publish. Every connector of a database sees the messages of every tool.',
    example: ['outbox'],
  },
  connectTimeout: { kind: 'duration', default: '10s', minMs: 100, about: 'How long connecting may take, authentication included.' },
});

export type PostgresConfig = ConfigOf<typeof postgresFields>;

/** The parts of a connection URL. */
export interface Address {
  readonly user: string;
  /** Host name, IP address, or the directory of a Unix socket (it begins with `/`). */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** A password that stood in the URL; `password` in the configuration goes before it. */
  readonly password: string | null;
}

export interface Problem {
  readonly path: string;
  readonly message: string;
  readonly remedy: string;
}

/** Reads a connection URL; a problem (never with the URL in it: it may hold a password, I12) if it is none. */
export function parseUrl(text: string): Address | Omit<Problem, 'path'> {
  const remedy = 'write postgres://user@host:5432/database';
  if (!/^postgres(ql)?:\/\//.test(text)) return { message: 'is not a Postgres URL', remedy };
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    const several = /^[^?]*@?[^/?]*:\d+,/.test(text.slice(text.indexOf('//') + 2));
    if (several) return { message: 'names several hosts', remedy: 'name the one server that holds the replication slot (the primary)' };
    return { message: 'is not a Postgres URL', remedy: `${remedy}; in user and password escape @ : / ? # [ ] % as %40 %3A %2F %3F %23 %5B %5D %25` };
  }
  if (url.hostname.includes(','))
    return { message: 'names several hosts', remedy: 'name the one server that holds the replication slot (the primary)' };
  const parameter = [...url.searchParams.keys()][0];
  if (parameter !== undefined) {
    const tls = parameter.startsWith('ssl') ? '; TLS is set by "tls": {"mode": …}' : '';
    return { message: `has the parameter "${parameter}", which is not read`, remedy: `remove everything from the question mark on${tls}` };
  }
  let parts: { user: string; password: string; host: string; database: string };
  try {
    parts = {
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      host: decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1'),
      database: decodeURIComponent(url.pathname.slice(1)),
    };
  } catch {
    return { message: 'has a % that is no escape', remedy: 'write % as %25' };
  }
  if (parts.user === '') return { message: 'names no user', remedy };
  if (parts.host === '') return { message: 'names no host', remedy };
  if (parts.database === '' || parts.database.includes('/')) return { message: 'names no database', remedy };
  return { ...parts, port: url.port === '' ? 5432 : Number(url.port), password: parts.password === '' ? null : parts.password };
}

/** The address of a configuration that was validated. */
export function addressOf(config: Pick<PostgresConfig, 'url'>): Address {
  const address = parseUrl(config.url);
  if ('message' in address) throw new TypeError(`url ${address.message}`);
  return address;
}

export type TlsMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

/** Whether the connection does not leave this machine. */
export function isLocal(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** The TLS mode that holds: spelled out, or by the host. */
export function tlsMode(config: PostgresConfig): TlsMode {
  return config.tls.mode ?? (isLocal(addressOf(config).host) ? 'disable' : 'verify-full');
}

/** Slot name that holds for a connector. Slots know no hyphens (manual, pg_create_logical_replication_slot). */
export function slotName(config: Pick<PostgresConfig, 'slot'>, connector: string): string {
  return config.slot ?? `sluice_${connector.toLowerCase().replace(/[^a-z0-9_]/g, '_')}`.slice(0, 63);
}

export function publicationName(config: Pick<PostgresConfig, 'publication'>, connector: string): string {
  // Room for the second publication's ending within the 63 bytes of an identifier.
  return config.publication ?? `sluice_${connector.toLowerCase().replace(/[^a-z0-9_]/g, '_')}`.slice(0, 55);
}

/** The publication of the tables of which only inserts and truncates are published. */
export function insertsPublicationName(publication: string): string {
  return `${publication}_inserts`;
}

/** What the field table cannot say. */
export function validatePostgres(config: PostgresConfig): readonly Problem[] {
  const problems: Problem[] = [];
  const address = parseUrl(config.url);
  if ('message' in address) problems.push({ path: 'url', ...address });
  else {
    const local = isLocal(address.host);
    if (address.password !== null && config.password !== undefined) {
      problems.push({ path: 'password', message: 'stands beside a password in the URL', remedy: 'remove the password from the URL' });
    }
    if (address.host.startsWith('/') && config.tls.mode !== undefined && config.tls.mode !== 'disable') {
      problems.push({ path: 'tls.mode', message: 'is TLS over a Unix socket, which the server does not offer', remedy: 'remove tls' });
    }
    const mode = config.tls.mode ?? (local ? 'disable' : 'verify-full');
    const { ca, cert, key, serverName } = config.tls;
    if (mode === 'disable' && (ca ?? cert ?? key ?? serverName) !== undefined) {
      problems.push({
        path: 'tls.mode',
        message: `is disable${config.tls.mode === undefined ? ' (the default on this machine)' : ''}, but other TLS options are set`,
        remedy: 'set tls.mode to verify-full',
      });
    }
    if (mode === 'verify-ca' && ca === undefined) {
      // Any holder of a certificate by any public authority would pass.
      problems.push({
        path: 'tls.ca',
        message: 'is missing, and verify-ca without it would accept the certificate of any server in the world',
        remedy: 'set tls.ca, or tls.mode to verify-full',
      });
    }
    if (mode !== 'verify-full' && serverName !== undefined && mode !== 'disable') {
      problems.push({ path: 'tls.serverName', message: `is not checked in mode ${mode}`, remedy: 'set tls.mode to verify-full' });
    }
    if ((cert === undefined) !== (key === undefined)) {
      problems.push({
        path: cert === undefined ? 'tls.cert' : 'tls.key',
        message: 'is missing: a client certificate is a certificate and a key',
        remedy: 'set tls.cert and tls.key',
      });
    }
  }
  for (const option of ['tables', 'insertOnly'] as const) {
    for (const [index, text] of config[option].entries()) {
      const pattern = parsePattern(text);
      if (isPatternError(pattern)) problems.push({ path: `${option}[${index}]`, message: pattern.message, remedy: pattern.remedy });
    }
  }
  problems.push(...snapshotProblems(config.snapshot));
  if (config.publication !== undefined && Buffer.byteLength(config.publication) > 55) {
    problems.push({ path: 'publication', message: 'is longer than 55 bytes', remedy: 'choose a shorter name' });
  }
  for (const [index, prefix] of config.messages.entries()) {
    if (prefix.startsWith('sluice.heartbeat'))
      problems.push({ path: `messages[${index}]`, message: 'is the prefix of heartbeats', remedy: 'remove it' });
  }
  return problems;
}
