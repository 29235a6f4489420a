import { fields } from '../plugin/field.ts';

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
        pattern: /^(\[[\da-fA-F:.]+\]|[A-Za-z\d._-]+):(\d|[1-9]\d{1,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])$/,
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
  http: { kind: 'notYet', about: 'The HTTP API.' },
  alerts: { kind: 'notYet', about: 'Alerts.' },
  connectWorker: { kind: 'notYet', about: "Settings of a Connect worker, for Debezium's connector files." },
});

/** Environment variables that stand above `sluice.json`: name and the option each one sets. */
export const environmentOptions = [
  { variable: 'SLUICE_DATA_DIR', path: ['dataDir'] },
  { variable: 'SLUICE_HEALTH', path: ['health', 'listen'] },
  { variable: 'SLUICE_LOG_LEVEL', path: ['log', 'level'] },
  { variable: 'SLUICE_HTTP', path: ['http'] },
] as const;
