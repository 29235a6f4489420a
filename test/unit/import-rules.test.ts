import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { checkImports, readSourceFiles } from '../support/import-rules.ts';

/** The files that the fixtures import, empty, and the one under test. */
function check(path: string, text: string): string[] {
  const known = [
    'src/record/batch.ts',
    'src/plugin/index.ts',
    'src/pipeline/pipeline.ts',
    'src/daemon/daemon.ts',
    'src/cli/program.ts',
    'connectors/index.ts',
    'connectors/nats/index.ts',
    'connectors/postgres/index.ts',
    'connectors/postgres/log/source.ts',
  ];
  return checkImports(new Map([...known.map((file) => [file, ''] as const), [path, text]]));
}

describe('import rules', () => {
  it('hold in src/ and connectors/', () => {
    const files = readSourceFiles(fileURLToPath(new URL('../..', import.meta.url)));
    expect(files.size).toBeGreaterThan(40);
    expect(checkImports(files)).toEqual([]);
  });

  it.each([
    ['src/plugin/source.ts', "import type { RecordBatch } from '../record/batch.ts';"],
    ['src/state/store.ts', "import { Level } from 'level';\nimport { join } from 'node:path';"],
    ['src/main.ts', "import { registry } from '../connectors/index.ts';\nimport { run } from './cli/program.ts';"],
    ['src/cli/run.ts', "import { daemon } from '../daemon/daemon.ts';"],
    ['connectors/index.ts', "const x = () => import('./nats/index.ts');"],
    ['connectors/postgres/client.ts', "import pg from 'pg';\nimport { defineError } from '#plugin';\nimport './log/source.ts';"],
    ['src/record/batch.ts', "// import pg from 'pg'\n/** import('pg') */\nexport const a = 1;"],
  ])('allow %s', (path, text) => {
    expect(check(path, text)).toEqual([]);
  });

  it.each([
    ['record imports another layer', 'src/record/table.ts', "import type { Sink } from '../plugin/index.ts';", 'src/record may not import'],
    ['a type counts too', 'src/plugin/sink.ts', "import type { Daemon } from '../daemon/daemon.ts';", 'src/plugin may not import'],
    ['an export counts too', 'src/plugin/sink.ts', "export { daemon } from '../daemon/daemon.ts';", 'src/plugin may not import'],
    ['so does an import over several lines', 'src/plugin/sink.ts', "import {\n  daemon,\n} from '../daemon/daemon.ts';", 'src/plugin may not import'],
    ['the engine imports a vendor', 'src/pipeline/x.ts', "import pg from 'pg';", "may not import the package 'pg'"],
    ['the engine imports a part of a package', 'src/daemon/x.ts', "import x from '@nats-io/jetstream/internal';", '@nats-io/jetstream'],
    ['the engine imports a plug-in', 'src/daemon/x.ts', "import { nats } from '../../connectors/nats/index.ts';", '(connectors)'],
    ['main goes around the registry', 'src/main.ts', "import { nats } from '../connectors/nats/index.ts';", 'only the registry'],
    ['a plug-in imports another one', 'connectors/postgres/x.ts', "import { nats } from '../nats/index.ts';", "plug-in 'postgres' may not import"],
    ['a plug-in imports the engine', 'connectors/nats/x.ts', "import { x } from '../../src/record/batch.ts';", "only as '#plugin'"],
    ['a plug-in imports a driver of another', 'connectors/nats/x.ts', "import pg from 'pg';", "package 'pg'"],
    ['a dynamic import', 'connectors/nats/x.ts', "const pg = await import('pg');", "package 'pg'"],
    ['an import of nobody knows what', 'connectors/nats/x.ts', 'const x = await import(name);', 'cannot be checked'],
    ['require', 'connectors/nats/x.ts', "const x = require('pg');", 'goes around'],
    ['a parser with a socket', 'connectors/postgres/log/pgoutput.ts', "import { connect } from 'node:net';", 'pure parser'],
    ['a parser with a clock', 'connectors/postgres/log/pgoutput.ts', 'const now = Date.now();', 'has no clock'],
    ['a parser with its driver', 'connectors/postgres/log/pgoutput.ts', "import pg from 'pg';", "package 'pg'"],
    ['a timer that is not the runtime’s', 'src/pipeline/x.ts', 'setTimeout(run, 5);', 'through the runtime'],
    ['a file that is not there', 'src/pipeline/x.ts', "import { x } from './gone.ts';", 'is not a file'],
    ['a .js ending', 'src/plugin/x.ts', "import { x } from '../record/batch.js';", 'is not a file'],
    ['a builtin without node:', 'src/record/x.ts', "import { readFile } from 'fs';", "package 'fs'"],
    ['a new layer without a rule', 'src/magic/x.ts', "import { x } from '../record/batch.ts';", 'no row in the table'],
    ['a new plug-in without a rule', 'connectors/oracle/x.ts', "import { x } from '#plugin';", 'no row in the table'],
    ['utils', 'src/record/utils.ts', '', 'says nothing'],
    ['helpers', 'connectors/postgres/helpers/x.ts', '', 'says nothing'],
    ['common', 'src/state/common.ts', '', 'says nothing'],
  ])('catch: %s', (_, path, text, message) => {
    const violations = check(path, text);
    expect(violations).toHaveLength(1);
    expect(violations[0]).toContain(message);
  });
});
