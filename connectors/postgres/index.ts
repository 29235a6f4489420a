import { type ErrorKind, type FindingKind, SluiceError, type SourcePlugin } from '#plugin';
import { quoteIdentifier, quoteLiteral } from './client.ts';
import { addressOf, insertsPublicationName, postgresFields, publicationName, slotName, validatePostgres } from './config.ts';
import * as errors from './errors.ts';
import * as findings from './findings.ts';
import * as logErrors from './log/errors.ts';
import { ORIGIN_COLUMNS } from './log/origin.ts';
import { formatLsn, parseLsn, readPosition } from './log/position.ts';
import { PostgresLogSource } from './log/source.ts';
import * as snapshotErrors from './snapshot/errors.ts';

/** PostgreSQL 14 to 18, by its log (pgoutput). */
export const postgres: SourcePlugin<typeof postgresFields> = {
  role: 'source',
  type: 'postgres',
  fields: postgresFields,
  errors: [...Object.values<ErrorKind>(errors), ...Object.values<ErrorKind>(logErrors), ...Object.values<ErrorKind>(snapshotErrors)],
  findings: Object.values<FindingKind>(findings),
  origin: { system: 'postgresql', columns: ORIGIN_COLUMNS, transaction: ['txId', 'lsn'] },
  validate: validatePostgres,
  claims: (config, connector) => {
    // Slots are the cluster's, not the database's; while a connector reads one, nobody else can.
    const { host, port } = addressOf(config);
    return [`slot:${host}:${port}/${slotName(config, connector)}`];
  },
  remains: (config, connector) => {
    const { host, port, database } = addressOf(config);
    const [slot, publication] = [slotName(config, connector), publicationName(config, connector)];
    const dropped = [publication, ...(config.insertOnly.length > 0 ? [insertsPublicationName(publication)] : [])].map(quoteIdentifier).join(', ');
    return [
      `The slot "${slot}" of ${host}:${port} stays, and the server keeps all of its log for it until it is dropped: SELECT pg_drop_replication_slot(${quoteLiteral(slot)});`,
      `The publication stays in the database "${database}": DROP PUBLICATION IF EXISTS ${dropped};`,
    ];
  },
  catalog: (config) => addressOf(config).database,
  parsePosition: (text, current) => {
    const lsn = parseLsn(text);
    if (lsn === null) throw new SluiceError(errors.positionInvalid, { text });
    const known = current === null ? null : readPosition(current);
    if (known === null) throw new SluiceError(errors.positionUnknownServer, { text });
    return { ...known, lsn: formatLsn(lsn), lastCommit: null, lastCommitMicros: null };
  },
  distance: (from, to) => {
    const [before, after] = [readPosition(from), readPosition(to)];
    if (before === null || after === null || before.systemId !== after.systemId) return null;
    const bytes = (parseLsn(after.lsn) as bigint) - (parseLsn(before.lsn) as bigint);
    return { back: bytes < 0n ? `${-bytes} bytes of log` : null, forward: bytes > 0n ? `${bytes} bytes of log` : null };
  },
  protection: {
    figures: ['retained', 'freePercent', 'timeLeft'],
    givesUp: true,
    remedy: (config, connector) =>
      `The server keeps its log for as long as its slot stands; where this output is not needed any more: SELECT pg_drop_replication_slot('${slotName(config, connector)}').`,
  },
  snapshot: ({ snapshot }) => snapshot,
  create: (config, context) => new PostgresLogSource(config, context),
};
