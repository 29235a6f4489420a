import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';

/** What a command writes to standard output. */
async function outputOf(...args: readonly string[]): Promise<string> {
  let text = '';
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (chunk: string | Uint8Array) => {
    text += chunk.toString();
    return true;
  };
  try {
    expect(await runCli(['node', 'sluice', ...args], { sources: {}, sinks: {}, formats: {} })).toBe(0);
  } finally {
    process.stdout.write = write;
  }
  return text;
}

/** What bash offers for the last of the words. */
function offered(script: string, ...words: readonly string[]): readonly string[] {
  const ask = `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', `${script}\n${ask}`, 'bash', 'sluice', ...words], { encoding: 'utf8', cwd: '/' })
    .trim()
    .split('\n');
}

it('bash is offered commands, the commands below them, and options of exactly the one that was written', async () => {
  const script = await outputOf('completion', 'bash');
  expect(offered(script, 'off')).toEqual(['offsets']);
  expect(offered(script, 'offsets', 'rec')).toEqual(['recover']);
  expect(offered(script, 'tail', '--st')).toEqual(['--stage']);
  expect(offered(script, 'status', '--st')).toEqual(['']);
  expect(offered(script, 'run', '/et')).toEqual(['/etc']);
});

it('zsh reads the same script, fish one of its own', async () => {
  expect(await outputOf('completion', 'zsh')).toBe(
    `autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n${await outputOf('completion', 'bash')}`,
  );
  const fish = await outputOf('completion', 'fish');
  expect(fish).toMatch(/^complete -c sluice -f -n '__fish_seen_subcommand_from offsets; and not __fish_seen_subcommand_from show [a-z ]+' -a show /m);
  expect(fish).toContain("complete -c sluice -n '__fish_seen_subcommand_from tail' -l stage ");
});
