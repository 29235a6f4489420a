/** Random schema changes under load on a real server, with the built daemon killed in between: `npm run test:ddl -- --help`. */
import { parseArgs } from 'node:util';
import { type MysqlVersion, startMysql, startNats, startPostgres } from '../servers/index.ts';
import type { StormDatabase } from '../support/ddl-database.ts';
import { mysqlStorm } from '../support/ddl-mysql.ts';
import { postgresStorm } from '../support/ddl-postgres.ts';
import { runStorm } from '../support/ddl-run.ts';

const HELP = `Usage: npm run test:ddl [-- --source S] [--changes N] [--kills N] [--restarts N] [--clients N] [--seed N] [--quiet]

Adds, drops, renames, reorders, retypes and replaces columns, keys, replica identities, partitions and whole tables while clients write; each row that arrives is compared
with what was written into a ledger in the same transaction, each version with the types that the row had; on MySQL and MariaDB also with the order of the columns and the key.

  --source S   postgres-14 to postgres-18, mysql-9, mariadb-11 or mariadb-10.11 (default postgres-17)
  --changes N  schema changes (default 300)
  --kills N    kill -9 of the daemon, spread over them (default 30)
  --restarts N kill -9 of the server (default 0)
  --clients N  that write (default 3)
  --quiet      without "schemaChanges": the catalogue is asked less often then
  --seed N     of the changes (default: another each time, and said)
`;

const { values } = parseArgs({
  options: {
    changes: { type: 'string', default: '300' },
    kills: { type: 'string', default: '30' },
    clients: { type: 'string', default: '3' },
    restarts: { type: 'string', default: '0' },
    source: { type: 'string', default: 'postgres-17' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    quiet: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const [server, nats] = await Promise.all([startSource(), startNats({ own: true })]);
try {
  const options = {
    announces: !values.quiet,
    changes: Number(values.changes),
    kills: Number(values.kills),
    restarts: Number(values.restarts),
    clients: Number(values.clients),
    seed: Number(values.seed),
  };
  const database = await server.storm();
  const { verdict, made, transactions, killed, restarted } = await runStorm({
    database,
    nats,
    ...options,
    say: (text) => process.stderr.write(`${text}\n`),
  });
  const counts = Object.entries(made).map(([kind, count]) => `${count} ${kind}`);
  process.stdout.write(
    `${values.source}, seed ${values.seed}: ${options.changes} changes (${counts.join(', ')}), ${killed} kills, ${restarted} restarts, ${transactions} transactions\n`,
  );
  process.stdout.write(
    `${verdict.messages} messages, ${verdict.compared} rows compared, ${verdict.versions} versions, ${verdict.announcements} announced; ${verdict.problems.length} problems\n`,
  );
  for (const problem of verdict.problems.slice(0, 20)) process.stdout.write(`  ${problem}\n`);
  process.exitCode = verdict.problems.length > 0 ? 1 : 0;
} finally {
  await Promise.all([server.dispose(), nats.dispose()]);
}

async function startSource(): Promise<{ storm(): Promise<StormDatabase>; dispose(): Promise<void> }> {
  const [system, major] = values.source.split('-');
  if (system === 'postgres') {
    const postgres = await startPostgres({ major: Number(major) as 17, own: true });
    return { storm: () => postgresStorm(postgres), dispose: () => postgres.dispose() };
  }
  const mysql = await startMysql({ version: values.source as MysqlVersion, fsync: true });
  return { storm: () => mysqlStorm(mysql), dispose: () => mysql.dispose() };
}
