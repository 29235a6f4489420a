/** Random schema changes under load on a real Postgres, with the built daemon killed in between: `npm run test:ddl -- --help`. */
import { parseArgs } from 'node:util';
import { startNats, startPostgres } from '../servers/index.ts';
import { runStorm } from '../support/ddl-run.ts';

const HELP = `Usage: npm run test:ddl [-- --changes N] [--kills N] [--clients N] [--major N] [--seed N] [--quiet]

Adds, drops, renames, retypes and replaces columns, keys, replica identities, partitions and whole tables while clients write; each row that arrives is compared with what
the server wrote into a ledger in the same transaction, each version with the types that the row had.

  --changes N  schema changes (default 300)
  --kills N    kill -9 of the daemon, spread over them (default 30)
  --clients N  that write (default 3)
  --major N    of PostgreSQL (default 17)
  --quiet      without "schemaChanges": the catalogue is asked less often then
  --seed N     of the changes (default: another each time, and said)
`;

const { values } = parseArgs({
  options: {
    changes: { type: 'string', default: '300' },
    kills: { type: 'string', default: '30' },
    clients: { type: 'string', default: '3' },
    major: { type: 'string', default: '17' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    quiet: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const [postgres, nats] = await Promise.all([startPostgres({ major: Number(values.major) as 17, own: true }), startNats({ own: true })]);
try {
  const options = {
    announces: !values.quiet,
    changes: Number(values.changes),
    kills: Number(values.kills),
    clients: Number(values.clients),
    seed: Number(values.seed),
  };
  const { verdict, made, transactions, killed } = await runStorm({ postgres, nats, ...options, say: (text) => process.stderr.write(`${text}\n`) });
  const counts = Object.entries(made).map(([kind, count]) => `${count} ${kind}`);
  process.stdout.write(
    `PostgreSQL ${values.major}, seed ${values.seed}: ${options.changes} changes (${counts.join(', ')}), ${killed} kills, ${transactions} transactions\n`,
  );
  process.stdout.write(
    `${verdict.messages} messages, ${verdict.compared} rows compared, ${verdict.versions} versions, ${verdict.announcements} announced; ${verdict.problems.length} problems\n`,
  );
  for (const problem of verdict.problems.slice(0, 20)) process.stdout.write(`  ${problem}\n`);
  process.exitCode = verdict.problems.length > 0 ? 1 : 0;
} finally {
  await Promise.all([postgres.dispose(), nats.dispose()]);
}
