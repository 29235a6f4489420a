import type { Command } from 'commander';
import type { Registry } from '../plugin/registry.ts';
import { type Action, PATHS } from './action.ts';

interface DoctorOptions {
  readonly connector?: string;
  readonly fix?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ sluice doctor /etc/sluice
  $ sluice doctor --connector shop --fix --json /etc/sluice

Exit codes: 0 nothing worse than a warning, 2 wrong configuration or command line, 3 an error was found, or a server cannot be reached.`;

/** `sluice doctor`. */
export function addDoctor(program: Command, action: Action, registry: Registry): void {
  program
    .command('doctor')
    .description(
      'Connect to the source and the sink of each connector and say everything that is wrong at once, why it matters, and the SQL or command that mends it. Changes nothing, and disturbs no daemon that runs.',
    )
    .argument('[paths...]', PATHS)
    .option('--connector <name>', 'only this one')
    .option('--fix', 'carry out the remedies that are harmless (they are marked), and look again')
    .option('--json', 'answer with one JSON document')
    .addHelpText('after', EXAMPLES)
    .action((paths: string[], { connector, fix, json }: DoctorOptions) =>
      action(json, async (output) =>
        (await import('./doctor.ts')).doctorCommand(
          paths,
          { fix: fix === true, ...(connector === undefined ? {} : { connector }) },
          output,
          registry,
        ),
      ),
    );
}
