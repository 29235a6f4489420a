import type { MysqlVersion, PostgresMajor } from '../servers/versions.ts';
import { availableKafkas, availableMajors, availableMysqls, mysqlVariants } from './available-servers.ts';

/** Tests of the long form: `npm run test:chaos`. */
export const LONG = process.env['SLUICE_CHAOS'] === 'full';

/** Of PostgreSQL, the first and the last one, for what does not depend on the version; all of them in the long form. */
export const EDGE_MAJORS: readonly PostgresMajor[] = LONG ? availableMajors : availableMajors.filter((major) => major === 14 || major === 18);

/** MySQL and the newest MariaDB; all of them in the long form. */
export const EDGE_MYSQLS: readonly MysqlVersion[] = LONG ? availableMysqls : availableMysqls.filter((version) => version !== 'mariadb-10.11');

/** Those, and MySQL without GTIDs. */
export const EDGE_MYSQL_VARIANTS = mysqlVariants.filter(({ options }) => EDGE_MYSQLS.includes(options.version));

/** What a change may be delivered to: NATS, and Kafka by each driver, the second one in the long form only. */
export const SINK_KINDS: readonly string[] = ['nats', ...(availableKafkas.length > 0 ? ['platformatic', ...(LONG ? ['kafkajs'] : [])] : [])];
