import { fields } from '../plugin/field.ts';
import { LISTEN_PATTERN } from './listen.ts';

/** The options of `sluice.json`. */
export const daemonFields = fields({
  $schema: { kind: 'string', optional: true, about: 'Where editors find the JSON Schema of this file. Not read by Sluice.' },
  dataDir: {
    kind: 'string',
    default: '.sluice',
    about:
      'Directory for the state, owned by one daemon. A relative path starts at this file (without one: at the first connector file, or at the directory that holds its `connectors/`). Environment: `SLUICE_DATA_DIR`.',
  },
  health: {
    kind: 'object',
    about: 'Listener for `/livez`, `/readyz` and `/metrics`. It takes no token: keep it inside.',
    fields: {
      listen: {
        kind: 'string',
        default: '127.0.0.1:9010',
        pattern: LISTEN_PATTERN,
        patternHint: 'host and port, such as "127.0.0.1:9010", "0.0.0.0:9010" (all interfaces) or "[::1]:9010"',
        about: 'Address and port; port 0 takes any free one. Environment: `SLUICE_HEALTH`.',
      },
    },
  },
  log: {
    kind: 'object',
    about: 'Log lines, on stderr.',
    fields: {
      level: {
        kind: 'choice',
        choices: ['debug', 'info', 'warn', 'error'],
        default: 'info',
        about: 'The least that is written. Environment: `SLUICE_LOG_LEVEL`.',
      },
      format: {
        kind: 'choice',
        choices: ['auto', 'json', 'pretty'],
        default: 'auto',
        about: '`auto`: readable on a terminal, else one JSON object per line.',
      },
    },
  },
  shutdown: {
    kind: 'object',
    about: 'What happens on SIGTERM.',
    fields: {
      timeout: {
        kind: 'duration',
        default: '10s',
        minMs: 0,
        maxMs: 3_600_000,
        about: 'How long what is under way may take to arrive, before the process ends without it.',
      },
    },
  },
  maxMemory: {
    kind: 'size',
    optional: true,
    minBytes: 2 ** 20,
    maxBytes: 2 ** 40,
    example: '256MiB',
    about:
      "One bound for the buffers of all connectors: what stands between the sources' sockets and the sinks' confirmations. When it is reached, connectors wait for each other; half of it is divided between them, the rest goes to whoever needs it, and each may always have one batch, whatever the others hold. So the worst case is this and one batch for each connector (at most three times a row that is larger than a batch), beside the windows of the sinks (`sink.window.bytes`) and about 100 MB for Node itself. `maxInFlightBytes` of each connector holds as well. Left out: only that holds.",
  },
  http: {
    kind: 'object',
    about: 'Listener for the HTTP API.',
    fields: {
      listen: {
        kind: 'string',
        optional: true,
        pattern: LISTEN_PATTERN,
        patternHint: 'host and port, such as "127.0.0.1:8085", "0.0.0.0:8085" (all interfaces, with a token) or "[::1]:8085"',
        example: '127.0.0.1:8085',
        about:
          'Address and port; port 0 takes any free one. Left out: there is no such listener. On loopback it is for programs on this machine, and asked for by such a name (`localhost`, `127.0.0.1`); any other address needs a `token`, or `tls.clientCa`. Environment: `SLUICE_HTTP`.',
      },
      token: {
        kind: 'string',
        optional: true,
        secret: true,
        pattern: /^[\x21-\x7e]{16,}$/,
        patternHint: 'at least 16 letters, digits or signs of ASCII, without spaces',
        about:
          'What each request must bring that may do everything: `Authorization: Bearer <token>`, or `Basic` with the token as the password and any user name.',
      },
      readToken: {
        kind: 'string',
        optional: true,
        secret: true,
        pattern: /^[\x21-\x7e]{16,}$/,
        patternHint: 'at least 16 letters, digits or signs of ASCII, without spaces',
        about: 'The same for who may only look: nothing can be changed with it. It needs a `token` beside it.',
      },
      tls: {
        kind: 'object',
        about: 'TLS of this listener. Left out: there is none.',
        fields: {
          cert: {
            kind: 'string',
            optional: true,
            example: '/etc/sluice/tls.crt',
            about: 'File with the certificate, and those that lead to its authority, in PEM form.',
          },
          key: { kind: 'string', optional: true, example: '/etc/sluice/tls.key', about: 'File with the key of the certificate, in PEM form.' },
          clientCa: {
            kind: 'string',
            optional: true,
            example: '/etc/sluice/clients.crt',
            about: 'File with an authority, in PEM form: only clients that show a certificate of it are let in, and they need no token.',
          },
        },
      },
    },
  },
  stored: {
    kind: 'object',
    about:
      'Bounds for connectors that are created through the API or with `sluice connectors create` and stand in the data directory. Whoever may create them says where they connect to: what they may name of this machine could be sent there. A program is never run for them.',
    fields: {
      env: {
        kind: 'list',
        default: [],
        about: 'Environment variables that they may refer to as `${env:NAME}`, with `*` for any characters. Left out: none.',
        example: ['SHOP_*'],
      },
      files: {
        kind: 'list',
        default: [],
        about:
          'Directories, as absolute paths, in which they may name files: as `${file:/path}`, and where an option takes the path of a certificate or a key. Left out: none.',
        example: ['/run/secrets/sluice'],
      },
    },
  },
  registry: {
    kind: 'object',
    about: 'The built-in schema registry, for those who have none: `docs/built-in-registry.md`.',
    fields: {
      enabled: {
        kind: 'boolean',
        default: false,
        about: "Offers Confluent's API under `/registry` on the listener of `http`. What is registered stands in the state.",
      },
    },
  },
  alerts: { kind: 'notYet', about: 'Alerts.' },
  connectWorker: { kind: 'notYet', about: "Settings of a Connect worker, for Debezium's connector files." },
});

/** Environment variables that stand above `sluice.json`: name and the option each one sets. */
export const environmentOptions = [
  { variable: 'SLUICE_DATA_DIR', path: ['dataDir'] },
  { variable: 'SLUICE_HEALTH', path: ['health', 'listen'] },
  { variable: 'SLUICE_LOG_LEVEL', path: ['log', 'level'] },
  { variable: 'SLUICE_HTTP', path: ['http', 'listen'] },
] as const;
