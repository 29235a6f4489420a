import { type ConfigOf, fields } from '../../plugin/field.ts';
import { parseKeyEntry } from './key-entry.ts';
import { namePattern } from './patterns.ts';

/** Options of the format, by Debezium's names. */
export const debeziumFields = fields({
  tombstones: {
    kind: 'boolean',
    default: true,
    about: 'Follow each delete by a message with the same key and no value, so that a compacted topic forgets the row (`tombstones.on.delete`).',
  },
  messageKeyColumns: {
    kind: 'list',
    default: [],
    about:
      "`message.key.columns`: the columns that make the key of a table's messages, instead of its primary key: `schema.table:column,column`, the table as a regular expression for the whole name. For tables without a primary key too. The log must carry the old values of the columns (Postgres: `REPLICA IDENTITY FULL`).",
    example: ['public.customers:tenant,id'],
  },
  schemasEnable: {
    kind: 'boolean',
    default: false,
    about:
      'Write each key and value with its schema, `{"schema":…,"payload":…}`, as Kafka Connect\'s JSON converter does (`schemas.enable`). The catalogue is then asked for each table that the log shows.',
  },
  columnPropagateSourceType: {
    kind: 'list',
    default: [],
    about:
      '`column.propagate.source.type`: regular expressions for whole names `schema.table.column`: the schemas of these columns say their type, length and scale on the server (`__debezium.source.column.type` and so on). Needs `schemasEnable`.',
    example: ['public.orders.*'],
  },
  datatypePropagateSourceType: {
    kind: 'list',
    default: [],
    about:
      '`datatype.propagate.source.type`: the same for the columns of types, `schema.table.type`, the type as the server names it (`varchar`). Needs `schemasEnable`.',
    example: ['.*.numeric', '.*.varchar'],
  },
  decimalHandlingMode: {
    kind: 'choice',
    choices: ['precise', 'double', 'string'],
    default: 'precise',
    about: '`decimal.handling.mode`: decimals and money in base64, as floats (which lose digits), or as text.',
  },
  timePrecisionMode: {
    kind: 'choice',
    choices: ['adaptive', 'adaptive_time_microseconds', 'connect', 'isostring', 'microseconds', 'nanoseconds'],
    notYet: ['structured'],
    default: 'adaptive',
    about: '`time.precision.mode`: dates and times without a zone as numbers of the unit that fits the column, of one unit, or as ISO 8601.',
  },
  bigintUnsignedHandlingMode: {
    kind: 'choice',
    choices: ['long', 'precise'],
    default: 'long',
    about:
      '`bigint.unsigned.handling.mode`: unsigned integers of 64 bits as signed ones, so that those of 2⁶³ and more become negative, or as decimals in base64.',
  },
  binaryHandlingMode: {
    kind: 'choice',
    choices: ['bytes', 'base64', 'base64-url-safe', 'hex'],
    default: 'bytes',
    about: '`binary.handling.mode`: how bytes are written.',
  },
  intervalHandlingMode: {
    kind: 'choice',
    choices: ['numeric', 'string'],
    default: 'numeric',
    about: '`interval.handling.mode`: intervals as microseconds (a month being 30.4375 days) or as ISO 8601 durations.',
  },
  hstoreHandlingMode: {
    kind: 'choice',
    choices: ['json', 'map'],
    default: 'json',
    about: '`hstore.handling.mode`: as a string that holds JSON, or as an object.',
  },
  includeUnknownDatatypes: {
    kind: 'choice',
    choices: ['text', 'bytes', 'none'],
    default: 'text',
    about:
      "`include.unknown.datatypes`: columns of types that Debezium does not know: as the server's text, as its bytes (Debezium's `true`), or left out (its `false`, the default there).",
  },
  moneyFractionDigits: {
    kind: 'integer',
    default: 2,
    min: 0,
    max: 30,
    about: '`money.fraction.digits`: digits after the point of money with `"decimalHandlingMode": "precise"`.',
  },
  unavailableValuePlaceholder: {
    kind: 'string',
    default: '__debezium_unavailable_value',
    about: '`unavailable.value.placeholder`: stands for a large value that the log did not send because it is unchanged.',
  },
  skippedOperations: {
    kind: 'list',
    default: [],
    about:
      '`skipped.operations`: changes that are left out: `c` (create), `u` (update), `d` (delete), `t` (truncate), `r` (read). Debezium leaves out `t` by default.',
    example: ['t'],
  },
  provideTransactionMetadata: {
    kind: 'boolean',
    default: false,
    about:
      '`provide.transaction.metadata`: tell in each change which transaction it is of and its number there, and write a BEGIN and an END of each transaction to `<connector>.transaction`.',
  },
  includeSchemaChanges: {
    kind: 'boolean',
    default: true,
    about:
      '`include.schema.changes`: write each statement that changes the definition of captured tables, with what they are by it, to the topic or subject `<connector>`, before the first row behind it. Sources `mysql` and `mariadb`; others have no such statements in their log.',
  },
  heartbeatInterval: {
    kind: 'duration',
    optional: true,
    minMs: 100,
    about:
      '`heartbeat.interval.ms`: write a message to `__debezium-heartbeat.<connector>` at this interval, also while nothing changes. Left out: none. What keeps the log of an idle database moving is `source.heartbeat`.',
    example: '10s',
  },
});

export type DebeziumConfig = ConfigOf<typeof debeziumFields>;

export interface DebeziumOptions extends DebeziumConfig {
  /** `source.version`. */
  readonly version: string;
}

/** `op` of each of the operations that may be left out, by `OP`. */
const SKIPPABLE = ['c', 'u', 'd', 'r', 't'];

/** By `OP`: 1 = left out. */
export function skippedOperations({ skippedOperations: letters }: Pick<DebeziumConfig, 'skippedOperations'>): Uint8Array {
  return Uint8Array.from([...SKIPPABLE, 'm'], (letter) => (letters.includes(letter) ? 1 : 0));
}

interface Problem {
  readonly path: string;
  readonly message: string;
  readonly remedy: string;
}

/** What the field table cannot say. */
export function validateDebezium(config: DebeziumConfig): Problem[] {
  const { skippedOperations, messageKeyColumns } = config;
  const keys = messageKeyColumns.flatMap((text, index): Problem[] => {
    const entry = parseKeyEntry(text);
    return 'message' in entry ? [{ path: `messageKeyColumns[${index}]`, ...entry }] : [];
  });
  return [...operationProblems(skippedOperations), ...keys, ...propagationProblems(config)];
}

function propagationProblems({ schemasEnable, ...config }: DebeziumConfig): Problem[] {
  return (['columnPropagateSourceType', 'datatypePropagateSourceType'] as const).flatMap((option) => {
    const patterns = config[option].flatMap((text, index): Problem[] => {
      const pattern = namePattern(text);
      return pattern instanceof RegExp ? [] : [{ path: `${option}[${index}]`, ...pattern }];
    });
    if (schemasEnable || config[option].length === 0) return patterns;
    return [...patterns, { path: option, message: 'is for schemas, and none are written', remedy: 'set "schemasEnable": true, or leave it out' }];
  });
}

function operationProblems(letters: readonly string[]): Problem[] {
  return letters.flatMap((letter, index) =>
    SKIPPABLE.includes(letter)
      ? []
      : [
          {
            path: `skippedOperations[${index}]`,
            message: 'is no operation',
            remedy: 'name some of "c", "u", "d", "t" and "r", or none at all: [] is "none"',
          },
        ],
  );
}
