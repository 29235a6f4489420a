import { Argument, Command } from 'commander';
import type { Registry } from '../plugin/registry.ts';
import { VERSION } from '../version.ts';
import { type Action, PATHS } from './action.ts';
import { completionScript, SHELLS, type Shell } from './completion.ts';
import { addConnectors } from './connectors-program.ts';
import { addDlq } from './dlq-program.ts';
import { addDoctor } from './doctor-program.ts';
import { addInit } from './init-program.ts';
import { addOffsets } from './offsets-program.ts';
import { fail, type Output, print, processOutput } from './output.ts';
import { addSchema } from './schema-program.ts';
import { addSnapshot } from './snapshot-program.ts';
import { addStoredConnectors } from './stored-connectors-program.ts';
import { addTables } from './tables-program.ts';
import { addTail } from './tail-program.ts';

const AFTER_HELP = `
Examples:
  $ sluice validate connectors/shop.json
  $ SHOP_DB_PASSWORD=… sluice run connectors/shop.json

Exit codes: 0 ok, 1 failure while running, 2 wrong configuration or command line, 3 a server or this machine is not as it must be.`;

/** Parses the command line, runs the command and returns the exit code: 0 ok, 1 runtime, 2 configuration, 3 environment. */
export async function runCli(argv: readonly string[], registry: Registry): Promise<number> {
  let exit = 0;
  /** Commands load their modules when they run: `version` must not wait for a database driver. */
  const action = (json: boolean | undefined, work: (output: Output) => Promise<number>): Promise<void> => {
    const output = processOutput(json === true);
    return work(output).then(
      (code) => {
        exit = code;
      },
      (error: unknown) => {
        exit = fail(output, error);
      },
    );
  };
  const program = new Command('sluice')
    .description(
      'Change data capture as a sidecar: every committed row change of your Postgres, in order, in Kafka, NATS JetStream or on standard output.',
    )
    .version(VERSION, '-V, --version')
    .showHelpAfterError('(--help shows what there is)')
    .addHelpText('after', AFTER_HELP)
    .exitOverride((error) => {
      throw error;
    });

  addInit(program, action, registry);
  addRun(program, action, registry);
  addValidate(program, action, registry);
  addConnectors(program, action, registry);
  addTail(program, action, registry);
  addStoredConnectors(program, action, registry);
  addDoctor(program, action, registry);
  addOffsets(program, action, registry);
  addDlq(program, action, registry);
  addTables(program, action, registry);
  addSnapshot(program, action, registry);
  addSchema(program, action, registry);
  addVersion(program, action);
  addCompletion(program, action);

  try {
    await program.parseAsync(argv);
  } catch (error) {
    const { exitCode, code } = error as { exitCode?: number; code?: string };
    if (code?.startsWith('commander.') !== true) throw error;
    // Help and version end with 0; a wrong command line is a configuration error.
    exit = exitCode === 0 ? 0 : 2;
  }
  return exit;
}

function addRun(program: Command, action: Action, registry: Registry): void {
  program
    .command('run')
    .description('Run the connectors until they are stopped (SIGTERM finishes what is in flight, a second one stops at once).')
    .argument('[paths...]', PATHS)
    .option(
      '--once',
      'go to the end of the log as it stands now, then end with 0; a server that is down is waited for, at most retry.maxAttempts times',
    )
    .option('--json', 'on failure to start, answer with one JSON document on stdout')
    .addHelpText('after', '\nExamples:\n  $ SHOP_DB_PASSWORD=… sluice run /etc/sluice\n  $ sluice run --once connectors/shop.json')
    .action((paths: string[], options: { once?: boolean; json?: boolean }) =>
      action(options.json, async () => (await import('./run.ts')).runCommand({ paths, once: options.once === true }, registry)),
    );
}

function addValidate(program: Command, action: Action, registry: Registry): void {
  program
    .command('validate')
    .description('Check configuration files. Needs no server and no secret.')
    .argument('[paths...]', PATHS)
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice validate connectors/shop.json')
    .action((paths: string[], options: { json?: boolean }) =>
      action(options.json, async ({ json, out }) =>
        (await import('./validate.ts')).validateCommand({ paths, json, write: out, registry, env: process.env }),
      ),
    );
}

function addVersion(program: Command, action: Action): void {
  program
    .command('version')
    .description('Print the version of Sluice and of Node.')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExample:\n  $ sluice version --json')
    .action((options: { json?: boolean }) =>
      action(options.json, (output) => {
        print(output, { sluice: VERSION, node: process.version }, `sluice ${VERSION} (node ${process.version})\n`);
        return Promise.resolve(0);
      }),
    );
}

function addCompletion(program: Command, action: Action): void {
  program
    .command('completion')
    .description('Print the script that completes commands and options in a shell.')
    .addArgument(new Argument('<shell>', 'which one').choices(SHELLS))
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', '\nExamples:\n  $ source <(sluice completion bash)\n  $ sluice completion fish > ~/.config/fish/completions/sluice.fish')
    .action((shell: Shell, options: { json?: boolean }) =>
      action(options.json, (output) => {
        const script = completionScript(program, shell);
        print(output, { shell, script }, script);
        return Promise.resolve(0);
      }),
    );
}
