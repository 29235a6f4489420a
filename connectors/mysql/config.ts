import { type ConfigOf, fields, isPatternError, parsePattern, snapshotFields, snapshotProblems } from '#plugin';

/** Options of a MySQL or MariaDB source, as they stand under `source` in a connector file. */
export const mysqlFields = fields({
  url: {
    kind: 'string',
    about: 'Where the server is: `mysql://user@host:port`. No database: the tables say theirs. Not a proxy that spreads queries over servers.',
    example: 'mysql://sluice@db.internal:3306',
  },
  password: {
    kind: 'credential',
    optional: true,
    secret: true,
    asked: true,
    about:
      'The password of the account, or its token (RDS IAM). Left out: an empty one. A server that asks for it in clear text gets it only over TLS that verifies the server.',
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
          'How far the server is made sure of: not at all, encrypted only, by the authority of its certificate, by its name too. Left out: `verify-full` for every host but loopback, `disable` for that. There is no mode that falls back to plain text.',
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
    },
    about: 'How the connection is encrypted and the server made sure of.',
  },
  tables: {
    kind: 'list',
    minItems: 1,
    about:
      'Tables to capture: `database.table`, with `*` for any characters, or a regular expression between slashes that must match the whole of `database.table`. Names are case-sensitive. Tables that come later are captured from their first row on.',
    example: ['shop.orders', 'shop.customer_*'],
  },
  columns: { kind: 'notYet', about: 'Columns to leave out.' },
  serverId: {
    kind: 'integer',
    optional: true,
    min: 1,
    max: 4_294_967_295,
    about:
      'By which the server tells readers of its log apart: no other connector, and no replica, may have it. Left out: a number made of the names of the data directory and the connector.',
  },
  snapshot: {
    kind: 'object',
    fields: { ...snapshotFields, maxStandbyLag: { kind: 'notYet', about: 'Put copying off while a replica is behind.' } },
    about: 'Copying the rows that are there already.',
  },
  acceptUnloggedCascades: {
    kind: 'boolean',
    default: false,
    about:
      'Capture tables although a foreign key changes their rows with those of another table (`ON DELETE CASCADE` and the like): servers that do this inside InnoDB write these changes nowhere, and so they are not captured.',
  },
  includeQuery: {
    kind: 'boolean',
    default: false,
    about:
      '`include.query`: the statement that changed the rows, with the values in it, in `source.query`, where the server logs it (MySQL: `binlog_rows_query_log_events`; MariaDB: `binlog_annotate_row_events`).',
  },
  heartbeat: {
    kind: 'object',
    fields: {
      interval: {
        kind: 'duration',
        default: '5s',
        minMs: 100,
        about: 'How often the server says that it lives while there is nothing to send. Silence for three times as long ends the connection.',
      },
    },
    about: 'Asked of the server for the connection; nothing is written.',
  },
  connectTimeout: { kind: 'duration', default: '10s', minMs: 100, about: 'How long connecting may take, authentication included.' },
});

export type MysqlConfig = ConfigOf<typeof mysqlFields>;

/** The parts of a connection URL. */
export interface Address {
  readonly user: string;
  readonly host: string;
  readonly port: number;
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
  const remedy = 'write mysql://user@host:3306';
  if (!/^(mysql|mariadb):\/\//.test(text)) return { message: 'is not a MySQL URL', remedy };
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return { message: 'is not a MySQL URL', remedy: `${remedy}; in user and password escape @ : / ? # [ ] % as %40 %3A %2F %3F %23 %5B %5D %25` };
  }
  const parameter = [...url.searchParams.keys()][0];
  if (parameter !== undefined)
    return { message: `has the parameter "${parameter}", which is not read`, remedy: 'remove everything from the question mark on' };
  if (url.pathname !== '' && url.pathname !== '/')
    return { message: 'names a database', remedy: 'remove it: "tables" says the databases, shop.orders' };
  let parts: { user: string; password: string; host: string };
  try {
    parts = {
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      host: decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1'),
    };
  } catch {
    return { message: 'has a % that is no escape', remedy: 'write % as %25' };
  }
  if (parts.user === '') return { message: 'names no user', remedy };
  if (parts.host === '') return { message: 'names no host', remedy };
  return { ...parts, port: url.port === '' ? 3306 : Number(url.port), password: parts.password === '' ? null : parts.password };
}

/** The address of a configuration that was validated. */
export function addressOf(config: Pick<MysqlConfig, 'url'>): Address {
  const address = parseUrl(config.url);
  if ('message' in address) throw new TypeError(`url ${address.message}`);
  return address;
}

/** `host:port`, for messages. */
export function addressText(config: Pick<MysqlConfig, 'url'>): string {
  const { host, port } = addressOf(config);
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

export type TlsMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

/** Whether the connection does not leave this machine. */
export function isLocal(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** The TLS mode that holds: spelled out, or by the host. */
export function tlsMode(config: Pick<MysqlConfig, 'url' | 'tls'>): TlsMode {
  return config.tls.mode ?? (isLocal(addressOf(config).host) ? 'disable' : 'verify-full');
}

/** What the field table cannot say. */
export function validateMysql(config: MysqlConfig): readonly Problem[] {
  const problems: Problem[] = [];
  const address = parseUrl(config.url);
  if ('message' in address) problems.push({ path: 'url', ...address });
  else {
    if (address.password !== null && config.password !== undefined)
      problems.push({ path: 'password', message: 'stands beside a password in the URL', remedy: 'remove the password from the URL' });
    problems.push(...tlsProblems(config));
  }
  for (const [index, text] of config.tables.entries()) {
    const pattern = parsePattern(text);
    if (isPatternError(pattern)) problems.push({ path: `tables[${index}]`, message: pattern.message, remedy: pattern.remedy });
  }
  problems.push(...snapshotProblems(config.snapshot));
  return problems.map((problem) => ({ ...problem, remedy: problem.remedy.replace('schema.table', 'database.table') }));
}

function tlsProblems(config: MysqlConfig): Problem[] {
  const problems: Problem[] = [];
  const { ca, cert, key, mode: spelled } = config.tls;
  const mode = tlsMode(config);
  if (mode === 'disable' && (ca ?? cert ?? key) !== undefined)
    problems.push({
      path: 'tls.mode',
      message: `is disable${spelled === undefined ? ' (the default on this machine)' : ''}, but other TLS options are set`,
      remedy: 'set tls.mode to verify-full',
    });
  if (mode === 'verify-ca' && ca === undefined)
    // Any holder of a certificate by any public authority would pass.
    problems.push({
      path: 'tls.ca',
      message: 'is missing, and verify-ca without it would accept the certificate of any server in the world',
      remedy: 'set tls.ca, or tls.mode to verify-full',
    });
  if ((cert === undefined) !== (key === undefined))
    problems.push({
      path: cert === undefined ? 'tls.cert' : 'tls.key',
      message: 'is missing: a client certificate is a certificate and a key',
      remedy: 'set tls.cert and tls.key',
    });
  return problems;
}

/** The server id that holds for a connector: the upper half of the numbers, where hand-given ones are rare. */
export function serverIdOf({ serverId }: Pick<MysqlConfig, 'serverId'>, connector: string, instance: string): number {
  if (serverId !== undefined) return serverId;
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`${instance}/${connector}`, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193);
  return 0x8000_0000 + ((hash >>> 0) % 0x7fff_ffff);
}
