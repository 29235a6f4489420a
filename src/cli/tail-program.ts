import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Registry } from '../plugin/registry.ts';
import { OPERATIONS, STAGES } from '../tail/filter.ts';
import { type Action, PATHS } from './action.ts';

interface TailOptions {
  readonly connector?: string;
  readonly stage?: readonly string[];
  readonly table?: readonly string[];
  readonly op?: readonly string[];
  readonly where?: readonly string[];
  readonly limit?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Stages: read (as the log has it), mapped (as readers get it), encoded (the message, before the sink has it), durable (the message, once the sink has stored it).

Examples:
  $ sluice tail /etc/sluice
  $ sluice tail --table 'public.orders' --op delete --stage durable /etc/sluice
  $ sluice tail --where id=42 --limit 1 --json /etc/sluice`;

/** `sluice tail`: changes of a running daemon as they pass. */
export function addTail(program: Command, action: Action, registry: Registry): void {
  program
    .command('tail')
    .description(
      'Show changes of the running daemon as they pass, until it is interrupted. Shows rows, to the user of the daemon only. Holds nothing up: who is too slow is told how many lines were left out; values of more than 16 KiB are cut.',
    )
    .argument('[paths...]', PATHS)
    .option('--connector <name>', 'which one, if there are several')
    .addOption(several('--stage <stage>', `behind which step, one of ${STAGES.join(', ')}; may be repeated (default: mapped)`, STAGES))
    .addOption(several('--table <pattern>', 'only tables that match, as in a connector file; may be repeated'))
    .addOption(several('--op <operation>', `only this operation, one of ${OPERATIONS.join(', ')}; may be repeated`, OPERATIONS))
    .addOption(
      several(
        '--where <column=value>',
        'only rows that have the value, before the change or after it; at the stages read and mapped; may be repeated',
      ),
    )
    .option('--limit <count>', 'end after as many')
    .option('--json', 'one JSON document a line')
    .addHelpText('after', EXAMPLES)
    .action((paths: string[], options: TailOptions) =>
      action(options.json, async (output) => {
        const { connector, stage, table, op, where, limit } = options;
        const wish = { connector, stages: stage ?? ['mapped'], tables: table ?? [], operations: op ?? [], where: where ?? [], limit };
        return (await import('./tail.ts')).tailCommand(paths, wish, output, registry);
      }),
    );
}

function several(flags: string, about: string, choices?: readonly string[]): Option {
  return new Option(flags, about).argParser((value: string, before: readonly string[] | undefined) => {
    if (choices !== undefined && !choices.includes(value)) throw new InvalidArgumentError(`It is one of ${choices.join(', ')}.`);
    return [...(before ?? []), value];
  });
}
