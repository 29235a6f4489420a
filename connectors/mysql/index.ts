import { type ErrorKind, type FindingKind, type Position, SluiceError, type SourcePlugin } from '#plugin';
import { addressOf, mysqlFields, validateMysql } from './config.ts';
import * as errors from './errors.ts';
import * as findings from './findings.ts';
import { distanceOf } from './log/distance.ts';
import * as logErrors from './log/errors.ts';
import { ORIGIN_COLUMNS } from './log/origin.ts';
import { NO_PROOF, parseGtids, parsePlace, readPosition, type System } from './log/position.ts';
import * as snapshotErrors from './snapshot/errors.ts';
import { MysqlLogSource } from './source.ts';

function pluginOf(system: System): SourcePlugin<typeof mysqlFields> {
  return {
    role: 'source',
    type: system,
    fields: mysqlFields,
    errors: [...Object.values<ErrorKind>(errors), ...Object.values<ErrorKind>(logErrors), ...Object.values<ErrorKind>(snapshotErrors)],
    findings: Object.values<FindingKind>(findings),
    origin: { system, columns: ORIGIN_COLUMNS, transaction: ['gtid'] },
    hasDefinitions: true,
    validate: validateMysql,
    claims: (config) => {
      if (config.serverId === undefined) return [];
      const { host, port } = addressOf(config);
      return [`server id:${host}:${port}/${config.serverId}`];
    },
    // Each table says its database.
    catalog: () => '',
    parsePosition: (text, current): Position => {
      const known = current === null ? null : readPosition(current, system);
      const place = system === 'mysql' ? parsePlace(text) : null;
      // Of whatever server it is read on.
      if (place !== null) return { system, by: 'file', gtid: known?.gtid ?? '', server: '', ...place, ...NO_PROOF };
      if (parseGtids(text, system) === null) throw new SluiceError(errors.positionInvalid, { text, system });
      // In which file they stand is not known: after a reset it is another one than before.
      return { system, by: 'gtid', gtid: text.replace(/\s/g, ''), server: known?.server ?? '', file: '', pos: '0', ...NO_PROOF };
    },
    distance: (from, to) => distanceOf(from, to, system),
    protection: {
      figures: ['headroom', 'freePercent', 'timeLeft'],
      givesUp: false,
      remedy: () =>
        'The server deletes its log by its age, whether it was read or not; to keep it longer: SET GLOBAL binlog_expire_logs_seconds = 2592000.',
    },
    snapshot: ({ snapshot }) => snapshot,
    create: (config, context) => new MysqlLogSource(config, system, context),
  };
}

/** MySQL, by its log. */
export const mysql = pluginOf('mysql');
/** MariaDB, by its log. */
export const mariadb = pluginOf('mariadb');
