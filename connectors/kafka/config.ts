import { type ConfigOf, fields } from '#plugin';
import { templateProblem } from './topic.ts';

/** Options of a Kafka sink, as they stand under `sink` in a connector file. */
export const kafkaFields = fields({
  brokers: {
    kind: 'list',
    minItems: 1,
    about: 'Brokers to begin with, `host:port`. The others are learned from them.',
    example: ['kafka-1:9092', 'kafka-2:9092'],
  },
  driver: {
    kind: 'choice',
    choices: ['platformatic', 'kafkajs'],
    default: 'platformatic',
    about:
      'The client library: `platformatic` (Kafka 3.0 and later; the faster one, and what was written is recognised across restarts without waiting) or `kafkajs`, for older brokers.',
  },
  topic: {
    kind: 'string',
    default: '{connector}.{schema}.{table}',
    about:
      "The topic of a table's messages. Known are `{connector}`, `{schema}` (the database where there are no schemas) and `{table}`; in names, characters other than letters, digits, `.`, `_` and `-` become `_`.",
  },
  createTopics: { kind: 'boolean', default: true, about: 'Create topics that do not exist.' },
  partitions: {
    kind: 'integer',
    optional: true,
    min: 1,
    max: 100_000,
    about: "Partitions of a topic that is created. Left out: the brokers' default.",
  },
  replication: {
    kind: 'integer',
    optional: true,
    min: 1,
    max: 32_767,
    about: "Replicas of a topic that is created. Left out: the brokers' default.",
  },
  topicSettings: {
    kind: 'list',
    default: [],
    about: 'Settings of a topic that is created, each `name=value`.',
    example: ['retention.ms=604800000', 'min.insync.replicas=2'],
  },
  addedPartitions: {
    kind: 'choice',
    choices: ['ignore', 'use'],
    default: 'ignore',
    about:
      'What becomes of partitions that are added to a topic later. `ignore`: keys stay where they are. `use`: from the next start on they are written to as well; a key that moves to another partition has no order across the two.',
  },
  compression: { kind: 'choice', choices: ['none', 'gzip', 'snappy', 'lz4'], default: 'none', about: 'Compression of the records.' },
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
      passphrase: { kind: 'string', optional: true, secret: true, about: 'Passphrase of the private key.', example: '${env:KAFKA_KEY_PASSPHRASE}' },
      serverName: {
        kind: 'string',
        optional: true,
        about: "The name that the brokers' certificates must carry, where it is not the host they are reached by.",
      },
    },
    about: "With this section, be it empty, TLS is required. The brokers' certificates are always verified.",
  },
  sasl: {
    kind: 'object',
    optional: true,
    fields: {
      mechanism: {
        kind: 'choice',
        choices: ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'],
        about: 'How the user is proved.',
      },
      user: { kind: 'string', optional: true, about: 'User name, for `plain` and `scram-…`.' },
      password: { kind: 'string', optional: true, secret: true, about: 'Password, for `plain` and `scram-…`.', example: '${env:KAFKA_PASSWORD}' },
      token: {
        kind: 'credential',
        optional: true,
        secret: true,
        about: 'Token, for `oauthbearer` (MSK IAM too): the token itself, or a JSON object with `access_token`.',
        example: { command: ['/usr/local/bin/kafka-token', '--audience', 'kafka'] },
      },
    },
    about: 'Who connects.',
  },
  request: {
    kind: 'object',
    fields: {
      bytes: {
        kind: 'size',
        default: '900KiB',
        minBytes: 1024,
        maxBytes: 256 * 1024 * 1024,
        about:
          "Bytes of records in one batch at most, before compression; a larger record goes alone. It must be below the topics' `max.message.bytes`.",
      },
      records: { kind: 'integer', default: 4000, min: 1, max: 1_000_000, about: 'Records in one batch at most.' },
      timeout: {
        kind: 'duration',
        default: '5s',
        minMs: 500,
        maxMs: 600_000,
        about: 'When a broker did not answer for so long, the connection is given up and the same request is made on a new one.',
      },
    },
    about: 'Batches of records that are sent to one partition. They are as small as the load is: what waits is sent.',
  },
  window: {
    kind: 'object',
    fields: {
      bytes: {
        kind: 'size',
        default: '16MiB',
        minBytes: 1,
        maxBytes: 1024 * 1024 * 1024,
        about: 'Bytes in flight to all brokers at most; a larger batch goes alone.',
      },
    },
    about: 'How much is sent before it is confirmed. There is one batch in flight for each partition.',
  },
});

export type KafkaConfig = ConfigOf<typeof kafkaFields>;

/** Where a broker listens. */
export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

/** Whether a connection to it does not leave this machine. */
export function isLocalHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** `host:port`, with brackets around an IPv6 address; null if it is none. */
export function parseBroker(text: string): BrokerAddress | null {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:/@[\]]+):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const port = Number(match[2]);
  if (port < 1 || port > 65_535) return null;
  return { host: (match[1] as string).replace(/^\[|\]$/g, ''), port };
}

type Problem = { readonly path: string; readonly message: string; readonly remedy: string };

/** Checks that the field table cannot say. */
export function validateKafka(config: KafkaConfig): readonly Problem[] {
  const problems: Problem[] = [];
  config.brokers.forEach((broker, index) => {
    if (parseBroker(broker) !== null) return;
    const remedy = /@/.test(broker) ? 'Write host:port and put user and password under "sasl".' : 'Write host:port, without a scheme.';
    problems.push({ path: `brokers[${index}]`, message: 'This is no address of a Kafka broker.', remedy });
  });
  const template = templateProblem(config.topic);
  if (template !== null) {
    problems.push({
      path: 'topic',
      message: `This is no template of a topic: ${template}.`,
      remedy: 'Use letters, digits, ".", "_", "-" and {connector}, {schema}, {table}.',
    });
  }
  config.topicSettings.forEach((setting, index) => {
    if (/^[a-z][a-z0-9.]*=.*$/.test(setting)) return;
    problems.push({
      path: `topicSettings[${index}]`,
      message: 'This is no setting of a topic.',
      remedy: 'Write name=value, as in "cleanup.policy=compact".',
    });
  });
  return [...problems, ...saslProblems(config.sasl), ...clearProblems(config), ...tlsProblems(config.tls)];
}

function saslProblems(sasl: KafkaConfig['sasl']): Problem[] {
  if (sasl === undefined) return [];
  const isToken = sasl.mechanism === 'oauthbearer';
  if (isToken && sasl.token === undefined) {
    return [{ path: 'sasl.token', message: 'The mechanism "oauthbearer" needs a token.', remedy: 'Add "token": {"command": ["…"]}.' }];
  }
  if (isToken && (sasl.user !== undefined || sasl.password !== undefined)) {
    return [{ path: 'sasl', message: 'User and password do not go with "oauthbearer".', remedy: 'Keep "token" only.' }];
  }
  if (!isToken && sasl.token !== undefined) {
    return [
      {
        path: 'sasl.token',
        message: 'A token goes with "oauthbearer" only.',
        remedy: 'Remove it, or set "mechanism": "oauthbearer".',
      },
    ];
  }
  if (!isToken && (sasl.user === undefined || sasl.password === undefined)) {
    return [{ path: 'sasl', message: `The mechanism "${sasl.mechanism}" needs user and password.`, remedy: 'Give both.' }];
  }
  return [];
}

/** What these two send is the secret itself (security.md 9; RFC 4616 section 4, RFC 7628 section 4). */
function clearProblems({ sasl, tls, brokers }: KafkaConfig): Problem[] {
  if (tls !== undefined || (sasl?.mechanism !== 'plain' && sasl?.mechanism !== 'oauthbearer')) return [];
  const away = brokers.find((broker) => !isLocalHost(parseBroker(broker)?.host ?? ''));
  if (away === undefined) return [];
  const what = sasl.mechanism === 'plain' ? 'password' : 'token';
  return [
    {
      path: 'sasl.mechanism',
      message: `The mechanism "${sasl.mechanism}" would send the ${what} in clear text to ${away}.`,
      remedy: `Set "tls": {"ca": "/etc/sluice/ca.pem"}${sasl.mechanism === 'plain' ? ', or "mechanism": "scram-sha-512"' : ''}.`,
    },
  ];
}

function tlsProblems(tls: KafkaConfig['tls']): Problem[] {
  if (tls === undefined || (tls.cert === undefined) === (tls.key === undefined)) return [];
  return [{ path: 'tls', message: 'A client certificate and its key belong together.', remedy: 'Give both "cert" and "key".' }];
}
